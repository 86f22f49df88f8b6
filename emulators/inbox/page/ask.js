// Requests to the admin interface of the emulator and to the functions.

// A Refused is a response other than 2xx. faults are the faults that it names.
export class Refused extends Error {
  constructor(status, body, text) {
    super(body?.detail || body?.title || text || `HTTP ${status}`);
    this.status = status;
    this.faults = Array.isArray(body?.errors) ? body.errors : [];
  }
}

async function ask(path, init) {
  const answer = await fetch(path, init);
  if (answer.status === 204) return null;
  const text = await answer.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch { /* the status says enough */ }
  if (!answer.ok) throw new Refused(answer.status, body, answer.statusText);
  return body;
}

// withBody sends text unchanged and other values as JSON. For undefined it sends
// no body and no content type.
const withBody = (method) => (path, body, headers = {}) => ask(path, body === undefined ? { method, headers }
  : { method, headers: { "Content-Type": "application/json", ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });

export const get = (path) => ask(path, {});
export const post = withBody("POST");
export const putTo = withBody("PUT");
export const del = (path) => ask(path, { method: "DELETE" });

// query appends parameters to a path.
export const query = (path, params) => `${path}?${new URLSearchParams(params)}`;

// gate limits how many of its tasks run at the same time.
export function gate(most) {
  let running = 0;
  const waiting = [];
  const next = () => {
    if (running >= most || waiting.length === 0) return;
    running++;
    const { task, resolve, reject } = waiting.shift();
    task().then(resolve, reject).finally(() => {
      running--;
      next();
    });
  };
  return (task) => new Promise((resolve, reject) => {
    waiting.push({ task, resolve, reject });
    next();
  });
}
