// What a page does with Google's JS SDK for web apps. The test calls the functions of round.
// The address of the page has the parameters firestore (host:port), auth (the address of the
// Auth emulator), project, and polling=1 (long polling instead of streams).
import { initializeApp } from "/firebase/firebase-app.js";
import { connectAuthEmulator, createUserWithEmailAndPassword, getAuth } from "/firebase/firebase-auth.js";
import {
  Bytes, GeoPoint, Timestamp, addDoc, collection, connectFirestoreEmulator, deleteDoc, disableNetwork, doc, enableNetwork, getCountFromServer,
  getDocFromServer, getDocsFromServer, increment, initializeFirestore, onSnapshot, orderBy, query, runTransaction, serverTimestamp, setDoc,
  updateDoc, waitForPendingWrites, where, writeBatch,
} from "/firebase/firebase-firestore.js";

const about = new URLSearchParams(location.search);
const [host, port] = about.get("firestore").split(":");
const app = initializeApp({ projectId: about.get("project"), apiKey: "any", appId: "page" });
const db = initializeFirestore(app, about.has("polling") ? { experimentalForceLongPolling: true } : {});
// Without an Auth emulator the page has the credentials of a server, so that no rules apply.
connectFirestoreEmulator(db, host, Number(port), about.has("auth") ? {} : { mockUserToken: "owner" });

const everyType = {
  text: "Ķīpsala 👩‍👩‍👧‍👦 \u2028 \"quoted\" <b>",
  whole: 9007199254740991, half: 0.5, none: NaN, infinite: -Infinity,
  yes: true, nothing: null, bytes: Bytes.fromUint8Array(new Uint8Array([0, 1, 254, 255])),
  place: new GeoPoint(56.95, 24.1), time: new Timestamp(1700000000, 123456000),
  other: doc(db, "types/other"), list: [1, "a", { deep: [] }], map: { a: { b: { c: [null] } } },
};

// The states that listeners were told, as the ids and numbers of the documents, one text
// each; and the errors that they ended with.
const seen = [];
const errors = [];

window.round = {
  seen, errors,

  // types returns the fields of a document that came back as another value.
  async types() {
    const ref = doc(db, "types/all");
    await setDoc(ref, everyType);
    const got = (await getDocFromServer(ref)).data();
    const same = (a, b) => (a?.isEqual ? a.isEqual(b) : Object.is(a, b) || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b)));
    return Object.keys(everyType).filter((name) => !same(got[name], everyType[name]));
  },

  // follow listens to the cities with more than ten people.
  follow() {
    const many = query(collection(db, "cities"), where("people", ">", 10), orderBy("people"));
    onSnapshot(many, { includeMetadataChanges: true }, (s) => {
      if (!s.metadata.fromCache) seen.push(s.docs.map((d) => `${d.id}=${d.data().people}`).join(" "));
    }, (err) => errors.push(err.code));
    return true;
  },

  // write uses the stream of writes: one by one, and in a batch.
  async write() {
    const riga = doc(db, "cities/riga");
    await setDoc(riga, { people: 20 });
    await updateDoc(riga, { people: increment(1), at: serverTimestamp() });
    const batch = writeBatch(db);
    batch.set(doc(db, "cities/ogre"), { people: 15 });
    batch.delete(doc(db, "cities/gone"));
    await batch.commit();
    return true;
  },

  // refused returns the code of a write that the server refuses; the one after it succeeds.
  async refused() {
    const code = await updateDoc(doc(db, "cities/atlantis"), { people: 1 }).then(() => "none", (err) => err.code);
    const ref = await addDoc(collection(db, "notes"), { text: "after it" });
    await deleteDoc(ref);
    return code;
  },

  // count adds one to a counter, n times at once, and returns its value.
  async count(n) {
    const ref = doc(db, "counters/visits");
    await setDoc(ref, { n: 0 });
    const once = () => runTransaction(db, async (tx) => tx.update(ref, { n: (await tx.get(ref)).data().n + 1 }), { maxAttempts: 50 });
    await Promise.all(Array.from({ length: n }, once));
    return (await getDocFromServer(ref)).data().n;
  },

  // calls uses the methods that are single requests.
  async calls() {
    const notes = collection(db, "calls");
    await Promise.all(["a", "b", "c"].map((id) => setDoc(doc(notes, id), { id })));
    const found = await getDocsFromServer(query(notes, where("id", ">", "a")));
    return `${found.docs.map((d) => d.id)} of ${(await getCountFromServer(notes)).data().count}`;
  },

  // large listens to n documents of about size bytes, and returns how many bytes came.
  async large(n, size) {
    const many = collection(db, "large");
    const text = "ā".repeat(size / 2);
    for (let i = 0; i < n; i++) await setDoc(doc(many, String(i)), { text });
    await disableNetwork(db); // so that the listener below needs an answer of the server
    await enableNetwork(db);
    return new Promise((done, failed) => {
      const stop = onSnapshot(many, { includeMetadataChanges: true }, (s) => {
        if (s.metadata.fromCache || s.size < n) return;
        stop();
        done(s.docs.reduce((sum, d) => sum + 2 * d.data().text.length, 0));
      }, failed);
    });
  },

  // offline and online switch the network of the SDK, and a write meanwhile waits.
  async offline() {
    await disableNetwork(db);
    this.waiting = setDoc(doc(db, "cities/cesis"), { people: 12 });
    return true;
  },
  async online() {
    await enableNetwork(db);
    await this.waiting;
    await waitForPendingWrites(db);
    return true;
  },

  // later writes a document; the promise is kept for written.
  later(id, people) {
    this.written = setDoc(doc(db, "cities", id), { people }).then(() => true);
    return true;
  },

  // signUp creates an account and signs in: the SDK opens its streams again.
  async signUp() {
    const auth = getAuth(app);
    connectAuthEmulator(auth, about.get("auth"), { disableWarnings: true });
    const { user } = await createUserWithEmailAndPassword(auth, "ada@example.com", "secret-1");
    await setDoc(doc(db, "people", user.uid), { mail: user.email });
    return user.uid;
  },
};

document.body.dataset.ready = "yes";
