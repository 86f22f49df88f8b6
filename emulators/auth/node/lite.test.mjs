// A round of Firestore Lite of the JS SDK, which uses the REST form of Firestore. FIRESTORE
// is host:port of the emulator.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { deleteApp, initializeApp } from "firebase/app";
import {
  addDoc, collection, connectFirestoreEmulator, deleteDoc, doc, getCount, getDoc, getDocs, getFirestore, query, runTransaction, setDoc, where,
} from "firebase/firestore/lite";

const [host, port] = process.env.FIRESTORE.split(":");
const app = initializeApp({ projectId: "demo-lite", apiKey: "any", appId: "lite" });
const db = getFirestore(app);
connectFirestoreEmulator(db, host, Number(port));
after(() => deleteApp(app));

test("documents are written, read, queried, counted and deleted", async () => {
  const riga = doc(db, "shops/riga");
  await setDoc(riga, { open: true, visits: 3 });
  assert.deepEqual((await getDoc(riga)).data(), { open: true, visits: 3 });
  await addDoc(collection(db, "shops"), { open: false, visits: 1 });
  const busy = await getDocs(query(collection(db, "shops"), where("visits", ">", 1)));
  assert.deepEqual(busy.docs.map((d) => d.id), ["riga"]);
  await runTransaction(db, async (tx) => {
    tx.update(riga, { visits: (await tx.get(riga)).data().visits + 1 });
  });
  assert.equal((await getDoc(riga)).data().visits, 4);
  assert.equal((await getCount(collection(db, "shops"))).data().count, 2);
  await deleteDoc(riga);
  assert.equal((await getDoc(riga)).exists(), false);
});
