// Elements and times of the inbox. Text reaches the page as text only: the content security
// policy of the page refuses everything else.
import { h, said } from "./common/dom.js";

export { $, check, clip, field, h, listed, number, percent, plural, said, sum, toast } from "./common/dom.js";

// put changes text only when it differs, so that it does not disturb selections
// and screen readers.
export function put(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

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
  if (!href) return said(label, "span", props);
  return said(label, "a", { ...props, href, target: "_blank", rel: "noopener noreferrer" });
}

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
