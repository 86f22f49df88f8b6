// A round of Google's Node client against the emulator that
// FIRESTORE_EMULATOR_HOST names: other habits than the Go client's (Listen with
// its own target ids, BatchGetDocuments that begins transactions, RunQuery for
// cursors of a prefix, lazily created streams).
import assert from 'node:assert/strict';
import {after, test} from 'node:test';
import {AggregateField, FieldPath, FieldValue, Filter, Firestore, GeoPoint, Timestamp} from '@google-cloud/firestore';
import {GoogleAuth, PassThroughClient} from 'google-auth-library'; // as the client has it

// PREFER_REST=1: everything that needs no listener goes over HTTP with JSON.
// The client asks for credentials then, with an emulator too.
const preferRest = process.env.PREFER_REST === '1';
const rest = {preferRest, auth: new GoogleAuth({authClient: new PassThroughClient(), projectId: 'unused'})};
const db = new Firestore({projectId: `demo-node-${process.pid}`, ...(preferRest ? rest : {})});
after(() => db.terminate());

const code = {notFound: 5, alreadyExists: 6, failedPrecondition: 9};
const ids = snap => snap.docs.map(d => d.id).join(' ');
// Over REST this client gives an error without its code; the status is in the text.
const statuses = {5: 'NOT_FOUND', 6: 'ALREADY_EXISTS', 9: 'FAILED_PRECONDITION'};
const fails = (promise, want) => assert.rejects(promise, err => err.code === want || preferRest && err.message.includes(`"status":"${statuses[want]}"`));

test('documents: every type, masks, transforms, preconditions', async () => {
  const ref = db.doc('docs/a');
  const at = new Timestamp(1, 2000);
  await ref.set({s: 'x', n: 1, f: 1.5, b: true, z: null, t: at, y: Buffer.from([0, 255]), g: new GeoPoint(1, 2), r: db.doc('docs/b'), l: [1, {k: 'v'}], m: {'a.b': 1}, v: FieldValue.vector([1, 2])});
  const d = (await ref.get()).data();
  assert.equal(d.t.nanoseconds, 2000);
  assert.equal(d.r.path, 'docs/b');
  assert.deepEqual(d.v.toArray(), [1, 2]);
  assert.deepEqual([d.s, d.n, d.f, d.b, d.z, d.l, d.m], ['x', 1, 1.5, true, null, [1, {k: 'v'}], {'a.b': 1}]);

  await ref.update({n: FieldValue.increment(4), l: FieldValue.arrayUnion(2), s: FieldValue.delete(), when: FieldValue.serverTimestamp()});
  await ref.update(new FieldPath('m', 'a.b'), 7);
  const e = (await ref.get()).data();
  assert.deepEqual([e.n, e.l.length, e.s, e.m], [5, 3, undefined, {'a.b': 7}]);
  assert.ok(e.when instanceof Timestamp);

  await fails(ref.create({}), code.alreadyExists);
  await fails(db.doc('docs/none').update({n: 1}), code.notFound);
  await fails(ref.delete({lastUpdateTime: new Timestamp(1, 0)}), code.failedPrecondition);
  const [one, none] = await db.getAll(ref, db.doc('docs/none'));
  assert.deepEqual([one.exists, none.exists], [true, false]);
  assert.deepEqual((await db.listCollections()).map(c => c.id).includes('docs'), true);
});

test('queries: filters, order, cursors of a prefix, limits, groups, aggregations', async () => {
  const col = db.collection('people');
  const batch = db.batch();
  for (const [id, age, city, tags] of [['ann', 30, 'riga', ['x']], ['bob', 25, 'riga', ['y']], ['cid', 30, 'oslo', ['x', 'y']], ['dan', 40, 'oslo', []]]) {
    batch.set(col.doc(id), {age, city, tags});
  }
  await batch.commit();
  assert.equal(ids(await col.where('age', '>=', 30).get()), 'ann cid dan');
  assert.equal(ids(await col.where('tags', 'array-contains-any', ['x', 'y']).get()), 'ann bob cid');
  assert.equal(ids(await col.where(Filter.or(Filter.where('age', '==', 40), Filter.where('city', '==', 'riga'))).get()), 'ann bob dan');
  assert.equal(ids(await col.orderBy('age').orderBy('city').startAt(30).get()), 'cid ann dan');
  assert.equal(ids(await col.orderBy('age').orderBy('city').endBefore(30).get()), 'bob');
  assert.equal(ids(await col.orderBy('age', 'desc').limit(2).get()), 'dan cid');
  assert.equal(ids(await col.orderBy('age').limitToLast(2).get()), 'cid dan');
  assert.equal(ids(await col.orderBy('age').startAfter(await col.doc('ann').get()).get()), 'cid dan');
  assert.equal(ids(await col.where('age', 'not-in', [30]).get()), 'bob dan');
  assert.equal(ids(await db.collectionGroup('people').get()), 'ann bob cid dan');
  assert.deepEqual((await col.select('age').limit(1).get()).docs[0].data(), {age: 30});
  const sums = await col.where('age', '>', 25).aggregate({n: AggregateField.count(), sum: AggregateField.sum('age'), avg: AggregateField.average('age')}).get();
  assert.deepEqual(sums.data(), {n: 3, sum: 100, avg: 100 / 3});
  const streamed = [];
  for await (const doc of col.stream()) streamed.push(doc.id);
  assert.equal(streamed.length, 4);
});

test('transactions: concurrent increments add up, failing ones leave nothing', async () => {
  const ref = db.doc('tx/counter');
  await ref.set({n: 0});
  // Without the code this client does not see ABORTED over REST, and waits for a minute:
  // one after the other there.
  const increments = Array.from({length: 8}, () => () => db.runTransaction(async tx => {
    const n = (await tx.get(ref)).get('n');
    tx.update(ref, {n: n + 1});
  }, {maxAttempts: 20}));
  if (preferRest) for (const increment of increments) await increment();
  else await Promise.all(increments.map(increment => increment()));
  assert.equal((await ref.get()).get('n'), 8);
  await assert.rejects(db.runTransaction(async tx => {
    await tx.get(ref);
    tx.set(db.doc('tx/never'), {});
    throw new Error('boom');
  }), /boom/);
  assert.equal((await db.doc('tx/never').get()).exists, false);
  const seen = await db.runTransaction(tx => tx.get(db.collection('tx').where('n', '==', 8)), {readOnly: true});
  assert.equal(ids(seen), 'counter');
});

// follow collects snapshots and lets a test wait for the next.
function follow(query) {
  const arrived = [];
  let wake = () => {};
  const stop = query.onSnapshot(s => { arrived.push(s); wake(); }, err => { arrived.push(err); wake(); });
  return {
    stop,
    async next() {
      while (!arrived.length) await new Promise(done => { wake = done; });
      const s = arrived.shift();
      if (s instanceof Error) throw s;
      return s;
    },
  };
}

test('listeners: a query and a document, through changes and removals', {timeout: 30_000}, async () => {
  const col = db.collection('live');
  await col.doc('a').set({v: 1});
  const query = follow(col.where('v', '<', 10).orderBy('v'));
  const doc = follow(col.doc('b'));
  assert.equal(ids(await query.next()), 'a');
  assert.equal((await doc.next()).exists, false);
  await col.doc('b').set({v: 0});
  assert.equal(ids(await query.next()), 'b a');
  assert.equal((await doc.next()).get('v'), 0);
  await col.doc('b').update({v: 50});
  const left = await query.next();
  assert.deepEqual([ids(left), left.docChanges()[0].type], ['a', 'removed']);
  assert.equal((await doc.next()).get('v'), 50);
  await col.doc('a').delete();
  assert.equal((await query.next()).size, 0);
  query.stop();
  doc.stop();
});

test('bulk writer and recursive delete', async () => {
  const writer = db.bulkWriter();
  for (let i = 0; i < 250; i++) writer.set(db.doc(`bulk/d${i}`), {i});
  await writer.close();
  await db.doc('bulk/d1/below/x').set({});
  assert.equal((await db.collection('bulk').count().get()).data().count, 250);
  await db.recursiveDelete(db.collection('bulk'));
  assert.equal((await db.collection('bulk').count().get()).data().count, 0);
  assert.equal((await db.collectionGroup('below').get()).size, 0);
});
