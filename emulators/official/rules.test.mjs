// Tests firestore.rules with a client SDK on Google's Firestore emulator: a client cannot
// read or write anything, signed in or not.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, getAuth, signInAnonymously } from "firebase/auth";
import {
  addDoc, collection, collectionGroup, connectFirestoreEmulator, deleteDoc, doc, getDoc, getDocs, getFirestore,
  query, runTransaction, setDoc, setLogLevel, updateDoc, where, writeBatch,
} from "firebase/firestore";

const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(":");
const auth = process.env.FIREBASE_AUTH_EMULATOR_HOST;
const project = "demo-carillon"; // the rules of firebase.json are this project's
const open = "demo-open"; // the test sets rules for this project that allow everything

// A document of every collection of Carillon, and of one that it does not have.
const documents = [
  "customers/k", "tokens/t", "mailings/m", "mailings/m/audience/0", "mailings/m/shards/0", "mailings/m/batches/00-000000",
  "messages/x", "outbox/e", "settings/push", "anything/else",
];

// owner sends a request as a server does: the rules do not apply to it.
async function owner(method, path, body) {
  const answer = await fetch(`http://${host}:${port}${path}`, {
    method, body: body && JSON.stringify(body), headers: { "Content-Type": "application/json", Authorization: "Bearer owner" },
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

const stored = (of, path) => `/v1/projects/${of}/databases/(default)/documents/${path}`;

const apps = [];

// client returns the database of a web app of a project, signed in or not.
async function client(of, signedIn) {
  const app = initializeApp({ projectId: of, apiKey: "none", appId: "rules" }, `${of}-${signedIn}`);
  apps.push(app);
  const db = getFirestore(app);
  connectFirestoreEmulator(db, host, Number(port));
  if (signedIn) {
    connectAuthEmulator(getAuth(app), `http://${auth}`, { disableWarnings: true });
    await signInAnonymously(getAuth(app));
  }
  return db;
}

// operations are all operations of a client SDK on a document.
const operations = {
  get: (db, path) => getDoc(doc(db, path)),
  list: (db, path) => getDocs(collection(db, path.slice(0, path.lastIndexOf("/")))),
  "query by a field": (db, path) => getDocs(query(collection(db, path.slice(0, path.lastIndexOf("/"))), where("n", "==", 1))),
  "query of a collection group": (db, path) => getDocs(collectionGroup(db, path.split("/").at(-2))),
  set: (db, path) => setDoc(doc(db, path), { n: 2 }),
  update: (db, path) => updateDoc(doc(db, path), { n: 2 }),
  create: (db, path) => addDoc(collection(db, path.slice(0, path.lastIndexOf("/"))), { n: 2 }),
  transaction: (db, path) => runTransaction(db, async (tx) => { tx.set(doc(db, path), { n: 2 }); }),
  batch: (db, path) => { const b = writeBatch(db); b.set(doc(db, path), { n: 2 }); return b.commit(); },
  delete: (db, path) => deleteDoc(doc(db, path)),
};

before(async () => {
  setLogLevel("silent");
  for (const of of [project, open]) {
    for (const path of documents) await owner("PATCH", stored(of, path), { fields: { n: { integerValue: "1" } } });
  }
  await owner("PUT", `/emulator/v1/projects/${open}:securityRules`, { rules: { files: [{ name: "open.rules", content:
    "rules_version = '2'; service cloud.firestore { match /databases/{d}/documents { match /{any=**} { allow read, write; } } }" }] } });
});

after(() => Promise.all(apps.map((app) => deleteApp(app))));

for (const signedIn of [false, true]) {
  describe(signedIn ? "a client that is signed in" : "a client that is not signed in", async () => {
    let db;
    before(async () => { db = await client(project, signedIn); });
    for (const [name, operation] of Object.entries(operations)) {
      test(`${name} is denied everywhere`, async () => {
        for (const path of documents) {
          await assert.rejects(operation(db, path), (err) => err.code === "permission-denied" || assert.fail(`${name} of ${path}: ${err}`));
        }
      });
    }
    test("nothing has changed", async () => {
      for (const path of documents) {
        assert.equal((await owner("GET", stored(project, path))).fields.n.integerValue, "1", path);
      }
    });
  });
}

// Without this test, a client that cannot connect would pass the other tests.
test("with open rules the same operations are done", async () => {
  const db = await client(open, false);
  for (const [name, operation] of Object.entries(operations)) {
    await assert.doesNotReject(operation(db, "customers/k"), name);
  }
});
