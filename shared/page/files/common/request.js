// Requests to the functions, for every page of Carillon.

// A Refusal is an answer that is no success. Its text is that of the problem, otherwise the
// given one. faults names what is wrong, and where.
export class Refusal extends Error {
  constructor(status, problem, otherwise) {
    super(problem?.detail || problem?.title || otherwise);
    this.status = status;
    this.faults = Array.isArray(problem?.errors) ? problem.errors : [];
  }
}

// request resolves to the value of the answer (null without JSON), its ETag and its status.
// It throws a Refusal for an answer other than 2xx; describe makes the text of one that
// names no problem. It throws what fetch throws if there is no answer.
export async function request(path, init, describe) {
  const answer = await fetch(path, init);
  const text = await answer.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch { /* no JSON: the status says enough */ }
  if (!answer.ok) throw new Refusal(answer.status, value, describe(answer));
  return { value, etag: answer.headers.get("ETag"), status: answer.status };
}

export const mailingPath = (id, rest = "") => `v1/mailings/${encodeURIComponent(id)}${rest}`;
export const customerPath = (id, rest = "") => `v1/customers/${encodeURIComponent(id)}${rest}`;

// fieldOf is the field that the location of a fault names.
export const fieldOf = (location) => (location || "").replace(/^body\./, "");

// faultsOf names every fault of a Refusal; name makes words of a location. Of other errors
// it has the text.
export const faultsOf = (e, name = fieldOf) => (e.faults?.length ? e.faults.map((f) => `${name(f.location)}: ${f.message}`) : [e.message]);
