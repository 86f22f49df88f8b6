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
export const sum = (o) => Object.values(o || {}).reduce((a, b) => a + b, 0);

// said is a text that a sender or customer wrote, in its own direction, so that its
// direction marks do not affect other text.
export const said = (text, name = "span", props = {}) => h(name, { dir: "auto", ...props }, String(text));

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
