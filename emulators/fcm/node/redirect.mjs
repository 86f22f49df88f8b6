// Leads Google's Node Admin SDK to an FCM emulator, without a change to the
// program that uses it:
//
//   FCM_EMULATOR=127.0.0.1:9599 node --import ./redirect.mjs program.mjs
//
// The SDK's hosts are fixed and it has no setting for another endpoint, so the
// connections are led elsewhere: those of https by the global agent, those of
// HTTP/2 (sendEach, topics) in http2.connect. FCM_EMULATOR_CA names the
// emulator's certificate where it serves TLS; it is checked then.
//
// One repair is needed on the way: the SDK (14.5) sends ":scheme: https:" with
// a colon. Google is lenient about it, Go's HTTP/2 is not.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

const [host, port] = (process.env.FCM_EMULATOR ?? '127.0.0.1:9599').split(':');
const ca = process.env.FCM_EMULATOR_CA && readFileSync(process.env.FCM_EMULATOR_CA);
const hosts = new Set(['fcm.googleapis.com', 'iid.googleapis.com']);

const dial = (ALPNProtocols) =>
  ca ? tls.connect({ host, port: Number(port), servername: 'localhost', ca, ALPNProtocols }) : net.connect(Number(port), host);

const direct = https.globalAgent.createConnection;
https.globalAgent.createConnection = function (options, done) {
  return hosts.has(options.host) ? dial(options.ALPNProtocols) : direct.call(this, options, done);
};

const http2 = createRequire(import.meta.url)('node:http2');
const connect = http2.connect;
http2.connect = (authority, options, listener) => {
  if (!hosts.has(new URL(authority).hostname)) return connect(authority, options, listener);
  const session = connect(authority, { ...options, createConnection: () => dial(['h2']) }, listener);
  const request = session.request;
  session.request = (headers, more) =>
    request.call(session, { ...headers, ':scheme': headers[':scheme']?.replace(':', '') ?? 'https' }, more);
  return session;
};
