// What is asked of the emulator's doors and of the functions.

// A Refused is an answer that is none of 2xx; faults are what it names.
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
  } catch { /* told by its status */ }
  if (!answer.ok) throw new Refused(answer.status, body, answer.statusText);
  return body;
}

// withBody sends text as it is and anything else as JSON; nothing is sent for
// undefined, and then nothing is said about its type.
const withBody = (method) => (path, body, headers = {}) => ask(path, body === undefined ? { method, headers }
  : { method, headers: { "Content-Type": "application/json", ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });

export const get = (path) => ask(path, {});
export const post = withBody("POST");
export const putTo = withBody("PUT");
export const del = (path) => ask(path, { method: "DELETE" });

// query writes parameters behind a path.
export const query = (path, params) => `${path}?${new URLSearchParams(params)}`;

// gate lets at most so many of the tasks given to it run at a time.
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
