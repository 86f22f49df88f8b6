// Elements, numbers and times of the console.
import { h, plural } from "./common/dom.js";

export { $, check, field, h, listed, number, plural, said, sum, toast } from "./common/dom.js";

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const times = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// percent of a whole, with a digit behind the point where it would be 0 or 100 otherwise.
export function percent(n, of) {
  if (!of) return "–";
  const p = (100 * (n || 0)) / of;
  const close = (p > 0 && p < 1) || (p > 99 && p < 100);
  return `${close ? Math.min(99.9, Math.max(0.1, p)).toFixed(1) : Math.round(p)} %`;
}

export const time = (at) => (at ? h("time", { datetime: at, title: at }, times.format(new Date(at))) : "–");
export const day = (at) => days.format(new Date(at));

// duration in words of a number of seconds.
export function duration(s) {
  if (s < 60) return plural(Math.max(1, Math.round(s)), "second");
  if (s < 5400) return plural(Math.round(s / 60), "minute");
  if (s < 172800) return plural(Math.round(s / 3600), "hour");
  return plural(Math.round(s / 86400), "day");
}

// clip shortens a text for a list.
export const clip = (text, most = 120) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);

// meter is a bar that only eyes need: its number stands beside it.
export function meter(share, kind = "") {
  const bar = h("i");
  bar.style.width = `${Math.max(0, Math.min(100, 100 * (share || 0)))}%`;
  return h("span", { class: `meter ${kind}`, "aria-hidden": "true" }, bar);
}
