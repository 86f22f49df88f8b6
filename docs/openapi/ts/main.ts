// The main flow over clients that are typed by the OpenAPI documents.
// TestGeneratedClients generates the types beside this file, compiles it and runs it.
import createClient from "openapi-fetch";
import type { paths as Customers } from "./customers.js";
import type { paths as Devices } from "./devices.js";
import type { paths as Mailings } from "./mailings.js";

const [api, apps, idToken] = process.argv.slice(2);

const people = createClient<Customers>({ baseUrl: api });
const sender = createClient<Mailings>({ baseUrl: api });
const app = createClient<Devices>({ baseUrl: apps, headers: { Authorization: `Bearer ${idToken}` } });

// check fails with what was answered unless a condition holds.
function check(holds: boolean, what: string, answer: unknown): asserts holds {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(answer)}`);
}

async function importCustomers() {
  const lines = [
    { id: "ts-alive", tokens: [{ token: "ts-alive:token", platform: "android" }] },
    { id: "ts-dead", tokens: [{ token: "ts-dead:token", platform: "ios" }] },
  ];
  const { data, error } = await people.POST("/v1/imports", {
    body: lines.map((line) => JSON.stringify(line)).join("\n"),
    bodySerializer: (body) => body,
    headers: { "Content-Type": "application/x-ndjson" },
  });
  check(data?.imported === 2, "the import", error ?? data);
}

// registerDevice is what an app does at its start.
async function registerDevice() {
  const { data, error } = await app.POST("/v1/devices", { body: { token: "ts-app:token", platform: "android" } });
  check(data?.valid === true, "the device", error ?? data);
}

// send creates a mailing twice with one key, as a program does that got no answer.
async function send(): Promise<string> {
  let id = "";
  const key = crypto.randomUUID();
  for (const replayed of [null, "true"]) {
    const { data, error, response } = await sender.POST("/v1/mailings", {
      params: { header: { "Idempotency-Key": key } },
      body: {
        message: { notification: { title: "Hi from TypeScript" } },
        audience: { customers: ["ts-alive", "ts-dead", "ts-app"] },
      },
    });
    check(data !== undefined && (id === "" || data.id === id), "the mailing", error ?? data);
    check(response.headers.get("Idempotency-Replayed") === replayed, "Idempotency-Replayed", replayed);
    id = data.id;
  }
  return id;
}

// completed waits until the mailing is, and holds it to its sums.
async function completed(id: string) {
  for (;;) {
    const { data, error } = await sender.GET("/v1/mailings/{id}", { params: { path: { id } } });
    check(data !== undefined, "the mailing", error);
    if (data.state === "completed") {
      check(data.customers.targeted === 3 && data.tokens.accepted === 2 && data.tokens.invalid["UNREGISTERED"] === 1, "the sums", data);
      return;
    }
    await new Promise((later) => setTimeout(later, 50));
  }
}

async function availability() {
  for (const [customer, want] of Object.entries({ "ts-alive": true, "ts-dead": false, "ts-app": true })) {
    const { data, error } = await people.GET("/v1/customers/{customer}", { params: { path: { customer } } });
    check(data?.pushAvailable === want, customer, error ?? data);
  }
  const { error } = await people.GET("/v1/customers/{customer}", { params: { path: { customer: "ts-nobody" } } });
  check(error?.status === 404, "an unknown customer", error);
}

// What the types have to refuse: the compiler fails where one of these is right.
export type AnAudienceIsOfOneKind = Mailings["/v1/mailings"]["post"]["requestBody"]["content"]["application/json"]["audience"];
// @ts-expect-error an audience names somebody
export const nobody: AnAudienceIsOfOneKind = {};
// @ts-expect-error false is nobody
export const notEveryone: AnAudienceIsOfOneKind = { everyone: false };

setTimeout(() => process.exit(1), 60_000).unref();
await importCustomers();
await registerDevice();
await completed(await send());
await availability();
