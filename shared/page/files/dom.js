// Elements, numbers and times of the console.
import { h } from "./common/dom.js";

export { $, check, clip, duration, field, h, listed, meter, number, percent, plural, said, sum, toast } from "./common/dom.js";

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const times = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const time = (at) => (at ? h("time", { datetime: at, title: at }, times.format(new Date(at))) : "–");
export const day = (at) => days.format(new Date(at));
