// Elements and numbers, for every page of Carillon. Text of senders and customers is only
// ever text.
export const $ = (id) => document.getElementById(id);

// h makes an element. Properties that begin with on are handlers, all others attributes.
// Children are elements, texts, or nothing.
export function h(name, props = {}, ...children) {
  const el = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") el[key] = value;
    else el.setAttribute(key, value === true ? "" : value);
  }
  el.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
  return el;
}

const numbers = new Intl.NumberFormat("en");

export const number = (n) => numbers.format(n || 0);
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
// percent of a whole, with a digit behind the point where it would be 0 or 100 otherwise.
export function percent(n, of) {
  if (!of) return "–";
  const p = (100 * (n || 0)) / of;
  const close = (p > 0 && p < 1) || (p > 99 && p < 100);
  return `${close ? Math.min(99.9, Math.max(0.1, p)).toFixed(1) : Math.round(p)} %`;
}

// duration in words of a number of seconds.
export function duration(s) {
  if (s < 60) return plural(Math.max(1, Math.round(s)), "second");
  if (s < 5400) return plural(Math.round(s / 60), "minute");
  if (s < 172800) return plural(Math.round(s / 3600), "hour");
  return plural(Math.round(s / 86400), "day");
}

export const sum = (o) => Object.values(o || {}).reduce((a, b) => a + b, 0);

// said is a text that a sender or customer wrote, in its own direction, so that its
// direction marks do not affect other text.
export const said = (text, name = "span", props = {}) => h(name, { dir: "auto", ...props }, String(text));

// clip limits the length of a long text and keeps characters whole.
export function clip(text, most = 120) {
  if (text.length <= most) return text;
  let end = most;
  if (/[\uD800-\uDBFF]/.test(text[end - 1])) end--;
  return text.slice(0, end) + "…";
}

// meter is a bar that only eyes need: its number stands beside it.
export function meter(share, kind = "") {
  const bar = h("i");
  bar.style.width = `${Math.max(0, Math.min(100, 100 * (share || 0)))}%`;
  return h("span", { class: `meter ${kind}`, "aria-hidden": "true" }, bar);
}

// toast shows a short text for eight seconds.
export function toast(text, ...more) {
  const el = h("div", { class: "toast" }, said(text), ...more);
  $("toasts").append(el);
  setTimeout(() => el.remove(), 8000);
}

let fields = 0;

// field is a label, an input, and a hint that screen readers read with it.
export function field(label, input, hint) {
  input.id ||= `field-${++fields}`;
  const note = hint && h("small", { id: `${input.id}-hint` }, hint);
  if (note) input.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, note);
}

export const check = (label, input) => h("label", { class: "check" }, input, label);

// listed are the entries of a text that has them with commas or on lines.
export const listed = (text) => text.split(/[\n,]/).map((s) => s.trim()).filter(Boolean);
