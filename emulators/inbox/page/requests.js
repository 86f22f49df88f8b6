// The last requests to the Firestore emulator, live while they are in sight.
import { $, check, clip, h, moment, number, plural, put, said, when } from "./dom.js";
import { requests, splitName } from "./firestore.js";
import { List } from "./list.js";
import { linkTo } from "./record.js";

const kept = 1000; // as the emulator
const every = 1000; // milliseconds between two looks

// isError reports whether a request failed. A client that ends its stream cancels it.
const isError = (r) => r.code !== "OK" && r.code !== "CANCELLED";

const took = (r) => (r.milliseconds >= 1000 ? `${(r.milliseconds / 1000).toFixed(1)} s` : `${Number(r.milliseconds.toPrecision(2))} ms`);
const billed = (r) => [[r.reads, "read"], [r.writes, "write"], [r.deletes, "delete"]].filter(([n]) => n > 0).map(([n, word]) => plural(n, word)).join(", ");
const others = (r) => (r.more ? ` and ${plural(r.more, "more", "more")}` : "");
const pathOf = (r) => splitName(r.path).path || r.path;

function row() {
  const el = h("div", { class: "request" });
  el.append(h("div", { class: "first" }, el.method = h("b"), el.code = h("span"), el.time = h("span", { class: "many" })),
    el.about = h("code", { dir: "auto" }), h("div", { class: "third" }, el.bill = h("span"), el.took = h("span", { class: "took" })));
  return el;
}

function fill(el, r) {
  if (el.shown === r) return;
  el.shown = r;
  el.dataset.number = r.number;
  put(el.method, r.method);
  put(el.code, r.code === "OK" ? "" : r.code);
  el.code.className = r.code === "OK" ? "" : `chip ${isError(r) ? "bad" : ""}`;
  put(el.time, when(Date.parse(r.at)));
  put(el.about, clip(pathOf(r), 160) + others(r));
  put(el.bill, billed(r));
  put(el.took, took(r));
}

// Requests is the view. open is called for the request that is chosen, empty for an empty
// list, grown after new ones came.
export class Requests {
  #all = []; // the newest first
  #last = 0;
  #timer = 0;
  #on = false; // whether the view is shown
  #text = "";

  constructor({ project, open, empty, grown }) {
    Object.assign(this, { open, empty, grown });
    this.database = `projects/${project}/databases/(default)`;
    this.errors = h("input", { type: "checkbox", id: "only-errors", onchange: () => this.#draw() });
    this.note = h("span", { class: "note", role: "status" });
    this.tools = h("div", { class: "tools" }, h("div", { class: "bar" }, check("Only errors", this.errors), this.note));
  }

  mount(box) {
    this.list = new List(box, { height: 78, key: (r) => String(r.number), make: row, fill, open: (r, far) => this.open(String(r.number), far) });
    box.setAttribute("aria-label", "Requests");
    $("tools").replaceChildren(this.tools);
    this.#on = true;
    this.#text = $("search").value;
    this.#draw();
    this.#look();
  }

  unmount() {
    this.#on = false;
    clearTimeout(this.#timer);
    this.list.close();
  }

  search(text) {
    this.#text = text;
    this.#draw();
  }

  detail(id) {
    const r = this.#all.find((one) => String(one.number) === id);
    if (r) return new About(r, this.database, () => this.open("", true));
    return { waits: id !== "", el: h("div", { class: "detail" }, h("section", { class: "data-about" }, h("h2", {}, "Requests to the Firestore emulator"),
      h("p", { class: "note" }, "The last 1,000, the newest first. A stream, such as Listen, counts once, when it ends. Choose one to see all of it."))) };
  }

  // #look requests what is new, and again after a second while the view is shown. A page in
  // the background does not look.
  async #look() {
    clearTimeout(this.#timer);
    if (!document.hidden) {
      try {
        const answer = await requests(this.#last);
        if (!this.#on) return;
        this.#take(answer);
        put(this.note, "");
      } catch (e) {
        if (!this.#on) return;
        put(this.note, `No answer: ${e.message}`);
      }
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), every);
  }

  #take({ requests: found, last }) {
    const restarted = last < this.#last;
    this.#last = last;
    if (found.length === 0 && !restarted) return;
    this.#all = [...found, ...(restarted ? [] : this.#all)].slice(0, kept);
    this.#draw();
    this.grown();
  }

  // #draw shows the requests with every word of the filter. A reader who has scrolled keeps
  // sight of the same rows.
  #draw() {
    if (!this.#on) return;
    const words = this.#text.toLowerCase().split(/\s+/).filter(Boolean);
    const hay = (r) => (r.hay ||= [r.method, r.path, r.code, r.message, billed(r)].join("\n").toLowerCase());
    const rows = this.#all.filter((r) => (!this.errors.checked || isError(r)) && words.every((w) => hay(r).includes(w)));
    const { box } = this.list;
    const above = box.scrollTop > 0 ? this.list.rows[Math.floor(box.scrollTop / this.list.height)] : null;
    const was = above ? this.list.rows.indexOf(above) : -1, is = above ? rows.indexOf(above) : -1;
    this.list.set(rows);
    if (is > was && was >= 0) box.scrollTop += (is - was) * this.list.height;
    const filtered = words.length > 0 || this.errors.checked;
    put($("list-note"), filtered ? `${number(rows.length)} of ${plural(this.#all.length, "request")}` : plural(rows.length, "request"));
    this.empty(rows.length === 0, filtered && this.#all.length > 0);
  }
}

// An About shows one request.
class About {
  constructor(r, own, back) {
    const { database, path } = splitName(r.path);
    const about = database === own && path && !/(^|\/)\*\*/.test(path) ? h("a", { href: linkTo(path) }, said(path)) : said(path || "the whole database");
    const facts = [["About", h("span", {}, about, others(r))], ["Database", said(database || "–")], ["Came", moment(Date.parse(r.at))], ["Took", `${number(r.milliseconds)} ms`],
      ["Outcome", h("span", { class: `chip ${r.code === "OK" ? "good" : isError(r) ? "bad" : ""}` }, r.code)], r.message && ["Text", said(r.message)],
      ["Billed", billed(r) || "nothing"], ["Number", number(r.number)]].filter(Boolean);
    this.el = h("div", { class: "detail" }, h("header", { class: "detail-head" }, h("button", { type: "button", class: "back", onclick: back }, "Back"), h("h2", {}, r.method)),
      h("dl", {}, ...facts.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])));
  }
}
