// Requests to the admin interface of the emulator and to the functions.
import { request } from "./common/request.js";

export { customerPath, faultsOf, mailingPath } from "./common/request.js";

const ask = async (path, init) => (await request(path, init, (answer) => answer.statusText || `HTTP ${answer.status}`)).value;

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
