// Runs a program of this repository under `firebase emulators:exec`:
//
//   node run.mjs test      the rules with a client SDK, the demo, and go test ./...
//   node run.mjs demo      only the demo
//   node run.mjs chaos     two minutes of faults: load -chaos
//   node run.mjs compare   compares our emulators with Google's, for docs/performance.md
//   node run.mjs laptop    go run ./emulators, until Ctrl-C
//
// Further arguments are passed on.
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { binaries, checkJava, emulators, freePorts, Missing } from "./servers.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../..");
const project = "demo-carillon";

// MISSING is the exit code if something has to be installed first.
const MISSING = 3;

// configuration writes a copy of firebase.json with free ports into a folder, with the same
// rules and indexes.
async function configuration(folder) {
  const config = JSON.parse(readFileSync(join(root, "firebase.json"), "utf8"));
  for (const file of [config.firestore.rules, config.firestore.indexes]) copyFileSync(join(root, file), join(folder, file));
  const names = ["auth", "firestore", "pubsub", "hub", "logging"];
  const ports = await freePorts(names.length);
  names.forEach((name, i) => { config.emulators[name] = { host: "127.0.0.1", port: ports[i] }; });
  writeFileSync(join(folder, "firebase.json"), JSON.stringify(config, null, 2));
}

// exec starts the emulators, runs inside.mjs with them, and returns its exit code.
function exec(folder, env, args) {
  const quoted = [process.execPath, join(here, "inside.mjs"), ...args].map((a) => `"${a.replaceAll('"', '\\"')}"`).join(" ");
  const child = spawn(process.execPath, [join(here, "node_modules/firebase-tools/lib/bin/firebase.js"), "emulators:exec",
    "--non-interactive", "--project", project, "--only", "auth,firestore,pubsub", quoted],
  { cwd: folder, stdio: "inherit", env: { ...process.env, ...env, CARILLON_ROOT: root } });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code, signal) => done(signal ? 1 : code));
  });
}

// compare starts every server itself, one after the other.
function compare(env, args) {
  const child = spawn("go", ["run", "./emulators/official/compare", ...args], { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code, signal) => done(signal ? 1 : code));
  });
}

const folder = mkdtempSync(join(tmpdir(), "carillon-official-"));
process.on("SIGINT", () => {}); // the signal also ends the emulators, and this process ends after them
try {
  checkJava();
  const [name, ...args] = process.argv.slice(2);
  if (name === "compare") {
    process.exitCode = await compare(await binaries(folder), args);
  } else {
    await configuration(folder);
    process.exitCode = await exec(folder, await emulators(folder), [name ?? "", ...args]);
  }
} catch (err) {
  if (!(err instanceof Missing)) throw err;
  console.error(err.message);
  process.exitCode = MISSING;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
