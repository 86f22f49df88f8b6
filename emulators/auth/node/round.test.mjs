// A round of the JS SDK for web apps: connectAuthEmulator, signing up and in, new ID tokens,
// changes of an account. AUTH is host:port of the emulator. DEVICES is the address of the
// function devices, which gets an ID token of the SDK; without it that test is skipped.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { deleteApp, initializeApp } from "firebase/app";
import {
  applyActionCode, confirmPasswordReset, connectAuthEmulator, createUserWithEmailAndPassword, deleteUser, EmailAuthProvider,
  fetchSignInMethodsForEmail, getAuth, linkWithCredential, sendEmailVerification, sendPasswordResetEmail, signInAnonymously,
  signInWithCustomToken, signInWithEmailAndPassword, signOut, updateEmail, updatePassword, updateProfile, verifyPasswordResetCode,
} from "firebase/auth";

const host = process.env.AUTH;
const devices = process.env.DEVICES;
const app = initializeApp({ projectId: "demo-carillon", apiKey: "any", appId: "round" });
const auth = getAuth(app);
connectAuthEmulator(auth, `http://${host}`, { disableWarnings: true });
after(() => deleteApp(app));

const unique = Math.random().toString(36).slice(2);
const email = (name) => `${name}-${unique}@example.com`;
const password = "secret-1";

// refused checks that the SDK reports this error.
const refused = (call, code) => assert.rejects(call, (err) => { assert.equal(err.code, code); return true; });

// owner changes an account as a server does.
async function owner(body) {
  const answer = await fetch(`http://${host}/identitytoolkit.googleapis.com/v1/accounts:update`, {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer owner" }, body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200);
}

test("a customer signs up, signs out and signs in", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, email("ada"), password);
  assert.equal(user.email, email("ada"));
  assert.equal(user.emailVerified, false);
  await updateProfile(user, { displayName: "Ada" });
  await signOut(auth);
  assert.equal(auth.currentUser, null);
  const again = await signInWithEmailAndPassword(auth, email("ada"), password);
  assert.equal(again.user.uid, user.uid);
  assert.equal(again.user.displayName, "Ada");
  assert.deepEqual(again.user.providerData.map((p) => p.providerId), ["password"]);
  assert.deepEqual(await fetchSignInMethodsForEmail(auth, email("ada")), ["password"]);
});

test("an ID token has the claims of the account, and a new one its new claims", async () => {
  const { user } = await signInWithEmailAndPassword(auth, email("ada"), password);
  const before = await user.getIdTokenResult();
  assert.equal(before.claims.sub, user.uid);
  assert.equal(before.claims.email, email("ada"));
  assert.equal(before.signInProvider, "password");
  assert.equal(before.claims.shop, undefined);
  await owner({ localId: user.uid, customAttributes: JSON.stringify({ shop: "riga" }) });
  const refreshed = await user.getIdTokenResult(true);
  assert.equal(refreshed.claims.shop, "riga");
});

test("an ID token is accepted by the function devices", { skip: devices ? false : "DEVICES is not set" }, async () => {
  const { user } = await signInWithEmailAndPassword(auth, email("ada"), password);
  for (const idToken of [await user.getIdToken(), await user.getIdToken(true)]) {
    const answer = await fetch(`${devices}/v1/devices`, {
      method: "POST", headers: { "Content-Type": "application/json", Authorization: `Bearer ${idToken}` },
      body: JSON.stringify({ token: `phone-of-${unique}:APA91b`, platform: "web" }),
    });
    assert.ok([200, 201].includes(answer.status), `${answer.status} ${await answer.text()}`);
  }
});

test("errors have the codes of the SDK", async () => {
  await refused(createUserWithEmailAndPassword(auth, email("ada"), password), "auth/email-already-in-use");
  await refused(createUserWithEmailAndPassword(auth, email("eva"), "short"), "auth/weak-password");
  await refused(createUserWithEmailAndPassword(auth, "eva", password), "auth/invalid-email");
  await refused(signInWithEmailAndPassword(auth, email("ada"), "secret-2"), "auth/wrong-password");
  await refused(signInWithEmailAndPassword(auth, email("nobody"), password), "auth/user-not-found");
  await refused(signInWithCustomToken(auth, "nonsense"), "auth/invalid-custom-token");
  const { user } = await createUserWithEmailAndPassword(auth, email("off"), password);
  await owner({ localId: user.uid, disableUser: true });
  await refused(user.getIdToken(true), "auth/user-disabled");
  await refused(signInWithEmailAndPassword(auth, email("off"), password), "auth/user-disabled");
});

test("an anonymous customer gets an e-mail address and keeps the user id", async () => {
  const { user } = await signInAnonymously(auth);
  assert.equal(user.isAnonymous, true);
  const linked = await linkWithCredential(user, EmailAuthProvider.credential(email("guest"), password));
  assert.equal(linked.user.uid, user.uid);
  assert.equal(linked.user.isAnonymous, false);
  assert.equal((await signInWithEmailAndPassword(auth, email("guest"), password)).user.uid, user.uid);
});

test("a custom token of a server signs in", async () => {
  const { user } = await signInWithCustomToken(auth, JSON.stringify({ uid: `custom-${unique}`, claims: { shop: "riga" } }));
  assert.equal(user.uid, `custom-${unique}`);
  assert.equal((await user.getIdTokenResult(true)).claims.shop, "riga");
});

// codeFor returns the code of a kind that was made for an address. project is that of the
// emulator's apps.
async function codeFor(kind, address, project) {
  const list = await (await fetch(`http://${host}/emulator/v1/projects/${project}/oobCodes`)).json();
  return list.oobCodes.find((c) => c.requestType === kind && c.email === address).oobCode;
}

test("a customer verifies the address and gets a new password", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, email("mia"), password);
  const project = (await user.getIdTokenResult()).claims.aud;
  await sendEmailVerification(user);
  await applyActionCode(auth, await codeFor("VERIFY_EMAIL", email("mia"), project));
  await user.reload();
  assert.equal(user.emailVerified, true);

  await sendPasswordResetEmail(auth, email("mia"));
  const code = await codeFor("PASSWORD_RESET", email("mia"), project);
  assert.equal(await verifyPasswordResetCode(auth, code), email("mia"));
  await confirmPasswordReset(auth, code, "secret-9");
  await refused(confirmPasswordReset(auth, code, "secret-9"), "auth/invalid-action-code");
  assert.equal((await signInWithEmailAndPassword(auth, email("mia"), "secret-9")).user.uid, user.uid);
});

test("a customer changes the password and the address, and deletes the account", async () => {
  const { user } = await createUserWithEmailAndPassword(auth, email("eva"), password);
  await updatePassword(user, "secret-2");
  await updateEmail(user, email("eve"));
  await user.reload();
  assert.equal(user.email, email("eve"));
  await refused(signInWithEmailAndPassword(auth, email("eve"), password), "auth/wrong-password");
  const again = await signInWithEmailAndPassword(auth, email("eve"), "secret-2");
  await deleteUser(again.user);
  await refused(signInWithEmailAndPassword(auth, email("eve"), "secret-2"), "auth/user-not-found");
});
