// Requests to the console.
import { Refusal, request } from "./common/request.js";

export { customerPath, faultsOf, fieldOf, mailingPath } from "./common/request.js";

async function ask(method, path, body, header = {}) {
  const headers = { ...header };
  if (method !== "GET") headers["X-Carillon-Console"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await request(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), redirect: "error" }, (answer) => `The answer was ${answer.status}.`);
  } catch (e) {
    if (e instanceof Refusal) throw e;
    throw new Refusal(0, null, "The console cannot be reached. Your session may have ended: reload the page.");
  }
}

export const get = async (path) => (await ask("GET", path)).value;
export const getWithETag = (path) => ask("GET", path);
export const post = async (path, body, header) => (await ask("POST", path, body, header)).value;
export const put = (path, body, header) => ask("PUT", path, body, header);
export const erase = (path) => ask("DELETE", path);
