// Requests to the console.

// A Refusal is an answer that is no success. faults names what is wrong, and where.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `The answer was ${status}.`);
    this.status = status;
    this.faults = problem?.errors || [];
  }
}

async function ask(method, path, body, header = {}) {
  const headers = { ...header };
  if (method !== "GET") headers["X-Carillon-Console"] = "1";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), redirect: "error" });
  } catch {
    throw new Refusal(0, { detail: "The console cannot be reached. Your session may have ended: reload the page." });
  }
  const text = await answer.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch { /* no JSON: the status says enough */ }
  if (!answer.ok) throw new Refusal(answer.status, value);
  return { value, etag: answer.headers.get("ETag"), status: answer.status };
}

export const get = async (path) => (await ask("GET", path)).value;
export const getWithETag = (path) => ask("GET", path);
export const post = async (path, body, header) => (await ask("POST", path, body, header)).value;
export const put = (path, body, header) => ask("PUT", path, body, header);
export const erase = (path) => ask("DELETE", path);
export const mailingPath = (id, rest = "") => `v1/mailings/${encodeURIComponent(id)}${rest}`;
export const customerPath = (id, rest = "") => `v1/customers/${encodeURIComponent(id)}${rest}`;
