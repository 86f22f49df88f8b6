// Sends with Google's Node Admin SDK to an FCM emulator and prints what came
// of it as one JSON object. See redirect.mjs for how it gets there.
import { initializeApp, deleteApp } from 'firebase-admin/app';
import { getMessaging } from 'firebase-admin/messaging';

const app = initializeApp({
  projectId: 'demo-carillon',
  credential: { getAccessToken: async () => ({ access_token: 'owner', expires_in: 3600 }) },
});
const messaging = getMessaging(app);
const failed = (error) => ({ code: error.code, message: error.message });
const message = (token) => ({
  token,
  notification: { title: 'From Node' },
  data: { mailing_id: 'node', customer_id: 'c1' },
  android: { ttl: 3500, priority: 'high', notification: { channelId: 'news' } },
  apns: { payload: { aps: { alert: { title: 'Hi' }, badge: 1, 'thread-id': 't' } } },
  webpush: { headers: { TTL: '60' }, fcmOptions: { link: 'https://shop.example/' } },
  fcmOptions: { analyticsLabel: 'node' },
});

const out = {};
out.send = await messaging.send(message('node-token-good')).catch(failed);
out.dryRun = await messaging.send(message('node-token-good'), true).catch(failed);
out.unregistered = await messaging.send(message('node-token-gone')).catch(failed);
out.malformed = await messaging.send(message('node token')).catch(failed);
const each = await messaging.sendEach(['node-token-one', 'node-token-gone', 'node-token-two'].map(message));
out.each = each.responses.map((r) => (r.success ? 'ok' : r.error.code));
out.subscribed = await messaging.subscribeToTopic(['node-token-one', 'node-token-gone', 'node-token-two'], 'spring')
  .then((r) => [r.successCount, r.failureCount]);
out.unsubscribed = await messaging.unsubscribeFromTopic('node-token-one', 'spring').then((r) => [r.successCount, r.failureCount]);
out.legacy = await messaging.subscribeToTopicLegacy(['node-token-one'], 'autumn').then((r) => [r.successCount, r.failureCount]);
out.topic = await messaging.send({ topic: 'spring', data: { a: 'b' } }).catch(failed);
await deleteApp(app);
process.stdout.write(JSON.stringify(out) + '\n', () => process.exit(0));
