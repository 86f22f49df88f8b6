// What stands where nothing is chosen: what has happened, and what can be done.
import { h, number, plural, put, toast } from "./dom.js";
import { get, post, putTo } from "./ask.js";
import { addSamples } from "./empty.js";
import { headline } from "./mailings.js";
import { chip, devices, progress, reached } from "./common/words.js";
import { nameOf } from "./rules.js";

const newest = 5; // mailings that are listed

const figure = (n, word) => h("p", {}, h("span", { class: "big" }, number(n)), h("br"), h("span", { class: "note" }, word));

// Overview shows the newest mailings, what FCM answered, and the customers.
export class Overview {
  constructor({ about, store, mailings, added }) {
    Object.assign(this, { about, store, mailings, added });
    this.figures = h("div", { class: "figures" });
    this.answers = h("p", { class: "note" });
    this.list = h("div", {});
    this.el = h("div", { class: "detail overview" }, h("h2", {}, "Overview"), this.figures, this.answers,
      about.api && h("section", {}, h("h3", {}, "Newest mailings"), this.list), about.api && this.#customers());
    this.draw();
  }

  // draw shows what the page knows now.
  draw() {
    this.figures.replaceChildren(figure(this.store.phones.size, "phones have rung"), figure(this.store.size, "messages are on them"), ...(this.stats ? [figure(this.stats.requests, "requests to FCM")] : []));
    const outcomes = Object.entries(this.stats?.outcomes || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    put(this.answers, outcomes.length ? `FCM's answers: ${outcomes.map(([k, n]) => `${number(n)} ${k === "OK" ? "accepted" : nameOf(k)}`).join(", ")}.` : "FCM was not asked yet.");
    if (!this.about.api) return;
    const some = this.mailings.list.slice(0, newest);
    for (const m of some) if (!m.tokens) this.mailings.look(m.id).catch(() => { /* it stays without sums */ });
    this.list.replaceChildren(...(some.length ? some.map((m) => h("div", { class: "running" },
      h("div", { class: "who" }, h("a", { href: `#mailings/${encodeURIComponent(m.id)}`, dir: "auto" }, headline(m)), m.state ? chip(m) : ""), progress(m), h("p", { class: "note" }, reached(m)))) : [h("p", { class: "note" }, "None yet.")]));
  }

  // showStats shows the numbers of requests and answers, as /emulator/stats has them.
  showStats(stats) {
    this.stats = stats;
    this.draw();
  }

  #customers() {
    const file = h("input", { type: "file", id: "import-file", accept: ".ndjson,.jsonl,.csv,.txt", class: "hidden", onchange: () => this.#import(file) });
    const setting = h("select", { id: "devices", onchange: () => this.#choose(setting) }, ...Object.entries(devices).map(([value, word]) => h("option", { value }, word)));
    get("v1/settings").then((s) => { setting.value = s.devices; }, (e) => toast(`The settings cannot be read: ${e.message}`));
    return h("section", {}, h("h3", {}, "Customers"),
      h("div", { class: "field" }, h("label", { for: "devices" }, "A mailing that does not say otherwise goes to"), setting),
      h("div", { class: "buttons" }, h("label", { class: "button quiet" }, "Import a file", file),
        h("button", { type: "button", class: "quiet", onclick: () => addSamples(this.added) }, "Add sample customers")),
      h("p", { class: "note" }, "A file has a customer a line: NDJSON, or CSV if its name ends in .csv. docs/customers.md describes both."));
  }

  async #choose(setting) {
    try {
      await putTo("v1/settings", { ...await get("v1/settings").then(writable), devices: setting.value });
      toast(`Mailings go to ${devices[setting.value]}, unless they say otherwise.`);
    } catch (e) {
      toast(`The setting was not changed: ${e.message}`);
    }
  }

  async #import(file) {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      const answer = await post("v1/imports", await chosen.text(), { "Content-Type": chosen.name.endsWith(".csv") ? "text/csv" : "application/x-ndjson" });
      const errors = answer.errors?.length ? `, not ${plural(answer.errors.length, "line")}: ${answer.errors.slice(0, 3).map((x) => `line ${x.line}: ${x.message}`).join("; ")}` : "";
      toast(`${plural(answer.imported, "customer")} imported${errors}.`);
      this.added([]);
    } catch (e) {
      toast(`${chosen.name} was not imported: ${e.message}`);
    } finally {
      file.value = "";
    }
  }
}

// writable leaves out what the server alone writes in the settings.
const writable = ({ changedAt: _at, changedBy: _by, ...settings }) => settings;
