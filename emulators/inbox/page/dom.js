// Elements and the writing of values. Text reaches the page as text only: the
// content security policy of the page refuses everything else.

// h makes an element; props are attributes, but on… is a listener, and true
// and false set and leave out.
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value === true) el.setAttribute(name, "");
    else if (value !== false && value != null) el.setAttribute(name, value);
  }
  el.append(...children.filter((c) => c != null && c !== false));
  return el;
}

export const $ = (id) => document.getElementById(id);

// put changes text only when it differs, so that it does not disturb selections
// and screen readers.
export function put(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

// others is text of a sender. It is isolated, so that its direction marks do not
// affect other text.
export const others = (tag, text, props = {}) => h(tag, { dir: "auto", ...props }, text);

// web returns the address of a link when a browser may follow it.
export function web(link) {
  try {
    const url = new URL(link);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : "";
  } catch {
    return "";
  }
}

// anchor is a link for http and https, and text for other addresses.
export function anchor(link, props = {}, label = link) {
  const href = web(link);
  if (!href) return others("span", label, props);
  return others("a", label, { ...props, href, target: "_blank", rel: "noopener noreferrer" });
}

const whole = new Intl.NumberFormat("en");
export const number = (n) => whole.format(n);
export const plural = (n, one, many = one + "s") => `${number(n)} ${n === 1 ? one : many}`;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

// when is the time today, and the day otherwise.
export function when(ms) {
  return new Date(ms).toDateString() === new Date().toDateString() ? clock.format(ms) : day.format(ms);
}
// hour and date are what a lock screen shows.
export const hour = (ms) => short.format(ms);
export const date = (ms) => weekday.format(ms);
export const moment = (ms) => full.format(ms);

// timeOf is a <time> for a moment.
export const timeOf = (ms, props = {}) => h("time", { datetime: new Date(ms).toISOString(), title: moment(ms), ...props }, when(ms));

// brief shortens a token to its two ends.
export const brief = (token) => (token.length > 28 ? `${token.slice(0, 16)}…${token.slice(-8)}` : token);

// clip limits the length of a long text and keeps characters whole.
export function clip(text, most) {
  if (text.length <= most) return text;
  let end = most;
  if (/[\uD800-\uDBFF]/.test(text[end - 1])) end--;
  return text.slice(0, end) + "…";
}

// copier is a button that copies a text.
export function copier(text, label) {
  const b = h("button", { type: "button", class: "copy", "aria-label": label, title: label, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      put(b, "Copied");
      setTimeout(() => put(b, "Copy"), 1500);
    } catch {
      put(b, "Not allowed");
    }
  } }, "Copy");
  return b;
}

// toast shows a short message for a moment.
export function toast(text, ...more) {
  const el = h("div", { class: "toast" }, others("span", text), ...more);
  $("toasts").append(el);
  setTimeout(() => el.remove(), 8000);
}

// twice makes a button that asks in its own label before it acts: the second click within
// five seconds acts.
export function twice(b, label, ask, act) {
  let armed = 0;
  const rest = () => {
    clearTimeout(armed);
    armed = 0;
    put(b, label);
  };
  b.addEventListener("click", () => {
    if (armed) {
      rest();
      act();
      return;
    }
    put(b, ask());
    armed = setTimeout(rest, 5000);
  });
  return b;
}
