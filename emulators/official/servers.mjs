// Finds Java and Google's emulators. If one is missing, the error says so in one sentence.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// Missing is an error that the user can correct: its text is printed without a stack trace.
export class Missing extends Error {}

// MAIN is the main class of the Firestore emulator. The jar of the CLI does not name it in
// its manifest.
const MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";

// CACHE is the folder of downloads of firebase-tools, and DOWNLOADS their source.
const CACHE = process.env.FIREBASE_EMULATORS_PATH || join(homedir(), ".cache", "firebase", "emulators");
const DOWNLOADS = "https://storage.googleapis.com/";

// checkJava requires Java 11 or later, which firebase-tools 14 needs for the emulators.
export function checkJava() {
  const java = spawnSync("java", ["-version"], { encoding: "utf8" });
  if (java.error) {
    throw new Missing("There is no java on the PATH: Google's emulators are Java programs. Install a JDK of version 11 or later.");
  }
  const version = /version "(\d+)/.exec(java.stderr + java.stdout)?.[1];
  if (Number(version) < 11) {
    throw new Missing(`java has version ${version}, but Google's emulators need 11 or later.`);
  }
}

// emulators returns the environment variables by which firebase-tools finds the emulators of
// an installed Google Cloud CLI, or none if firebase-tools has its own or can download them.
export async function emulators(folder) {
  const given = process.env.FIRESTORE_EMULATOR_BINARY_PATH && process.env.PUBSUB_EMULATOR_BINARY_PATH;
  if (given) return {};
  const installed = ofCloudCLI(folder);
  if (installed) return installed;
  const cached = existsSync(CACHE) ? readdirSync(CACHE).join(" ") : "";
  if (cached.includes("firestore") && cached.includes("pubsub")) return {};
  try {
    await fetch(DOWNLOADS, { method: "HEAD", signal: AbortSignal.timeout(10_000) });
  } catch {
    throw new Missing("Google's emulators are not installed and cannot be downloaded: install the Google Cloud CLI with its components " +
      `cloud-firestore-emulator and pubsub-emulator, or let this machine reach ${DOWNLOADS}, from where firebase-tools downloads them.`);
  }
  return {};
}

// binaries returns both variables, also if firebase-tools has downloaded the emulators.
export async function binaries(folder) {
  const found = { ...process.env, ...await emulators(folder) };
  const { FIRESTORE_EMULATOR_BINARY_PATH = downloaded(/^cloud-firestore-emulator-.*\.jar$/),
    PUBSUB_EMULATOR_BINARY_PATH = downloaded(/^pubsub-emulator-[\d.]+$/, "pubsub-emulator/bin/cloud-pubsub-emulator") } = found;
  return { FIRESTORE_EMULATOR_BINARY_PATH, PUBSUB_EMULATOR_BINARY_PATH };
}

function downloaded(name, below = "") {
  const file = existsSync(CACHE) && readdirSync(CACHE).find((f) => name.test(f));
  if (!file) throw new Missing(`firebase-tools has not downloaded Google's emulators to ${CACHE} yet: run npm test once.`);
  return join(CACHE, file, below);
}

function ofCloudCLI(folder) {
  const root = cloudRoot();
  if (!root) return undefined;
  const firestore = join(root, "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar");
  const pubsub = join(root, "platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator");
  if (!existsSync(firestore) || !existsSync(pubsub)) return undefined;
  return { FIRESTORE_EMULATOR_BINARY_PATH: launcher(folder, firestore), PUBSUB_EMULATOR_BINARY_PATH: pubsub };
}

function cloudRoot() {
  if (process.env.CLOUDSDK_ROOT_DIR) return process.env.CLOUDSDK_ROOT_DIR;
  const found = spawnSync("gcloud", ["info", "--format=value(installation.sdk_root)"], { encoding: "utf8", timeout: 30_000 });
  return found.status === 0 ? found.stdout.trim() : undefined;
}

// launcher makes a jar that has only a manifest with MAIN, because firebase-tools starts the
// Firestore emulator with `java -jar`.
function launcher(folder, jar) {
  const manifest = join(folder, "manifest.txt");
  const out = join(folder, "firestore.jar");
  writeFileSync(manifest, `Main-Class: ${MAIN}\nClass-Path: ${pathToFileURL(jar)}\n`);
  try {
    execFileSync("jar", ["cfm", out, manifest], { stdio: ["ignore", "ignore", "inherit"] });
  } catch (err) {
    throw new Missing(`The tool jar does not work (${err.message}): a JDK has this tool, but a JRE does not.`);
  }
  return out;
}

// freePorts returns n free ports. They are below the ports that the system gives to outgoing
// connections, because such a connection could get a port before the emulator does.
export async function freePorts(n) {
  const ports = new Set();
  for (let tries = 0; ports.size < n; tries++) {
    if (tries > 1000) throw new Missing("There are no free ports between 20000 and 32000 on 127.0.0.1.");
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await free(port)) ports.add(port);
  }
  return [...ports];
}

function free(port) {
  return new Promise((resolve) => {
    const s = createServer();
    s.once("error", () => resolve(false));
    s.listen(port, "127.0.0.1", () => s.close(() => resolve(true)));
  });
}
