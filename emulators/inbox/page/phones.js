// The list of phones, a token each, those of a customer together, the last
// rung first.
import { $, brief, clip, h, number, plural, put, when } from "./dom.js";
import { List } from "./list.js";
import { matches, parse, shown } from "./search.js";
import { nameOf } from "./rules.js";
import { platformNames } from "./common/mailing.js";

const slice = 8; // milliseconds of searching at a time

// kinds are what a message can be addressed to, in words.
export const kinds = { token: "token", fid: "installation", topic: "topic", condition: "condition" };

// nameOfPhone names a phone that has no customer.
export const nameOfPhone = (p) => (p.kind === "token" || p.kind === "fid" ? brief(p.address) : clip(p.address, 80));

export class Phones {
  #terms = [];
  #generation = 0;
  #rest = 0; // the list is not put in order again before this moment
  #later = 0;
  #waiting = 0; // phones rung since the list was last put in order

  constructor({ store, rules, customers, open }) {
    Object.assign(this, { store, rules, customers, open });
  }

  mount(box) {
    this.list = new List(box, {
      height: 76, key: (p) => p.key, open: this.open,
      make: () => this.#make(), fill: (row, p, i, rows) => this.#fill(row, p, rows[i - 1], rows[i + 1]),
      seen: (phones) => this.#seen(phones),
    });
    box.setAttribute("aria-label", "Phones");
    box.addEventListener("scroll", () => { if (this.#atTop && this.#waiting) this.order(); }, { passive: true, signal: this.list.listeners.signal });
    this.order();
  }

  unmount() {
    this.list?.close();
    this.list = null;
    $("fresh").hidden = true;
  }

  get #atTop() { return this.list.box.scrollTop < 40; }

  // changed takes in what the stream brought. Where somebody has scrolled down
  // the list stands still and says how much is new above.
  changed() {
    for (const p of this.store.rung) p.matches = this.#terms.length === 0 || matches(this.#terms, p);
    this.store.rung.clear();
    if (!this.list) {
      this.store.sort();
      return;
    }
    if (this.store.touched.size === 0) return;
    if (this.#atTop || this.list.rows.length === 0) {
      this.#soon();
      return;
    }
    this.#waiting = this.store.touched.size;
    const fresh = $("fresh");
    fresh.hidden = false;
    put(fresh, `${plural(this.#waiting, "customer")} rung meanwhile`);
    this.list.draw();
  }

  // soon puts the list in order, and where that takes long, not all the time.
  #soon() {
    const wait = this.#rest - performance.now();
    if (wait <= 0) this.order();
    else this.#later ||= setTimeout(() => { if (this.list && this.#atTop) this.order(); }, wait);
  }

  // order sorts the list and shows it.
  order() {
    clearTimeout(this.#later);
    this.#later = 0;
    const began = performance.now();
    this.#arrange();
    const now = performance.now();
    this.#rest = now + 4 * (now - began);
  }

  #arrange() {
    this.#waiting = 0;
    this.store.sort();
    if (!this.list) return;
    $("fresh").hidden = true;
    const rows = [];
    for (const g of this.store.order) for (const p of g.phones) if (p.matches) rows.push(p);
    this.list.set(rows);
    this.#note(rows.length);
  }

  toTop() {
    this.list.box.scrollTop = 0;
    this.order();
  }

  #note(found) {
    const all = this.store.phones.size;
    put($("list-note"), this.#terms.length ? `${number(found)} of ${plural(all, "phone")}` : `${plural(all, "phone")}, ${plural(this.store.size, "message")}`);
    this.empty?.(found, this.#terms.length > 0);
  }

  // search filters by what is typed, a few milliseconds at a time; a newer
  // search ends an older one.
  async search(text) {
    this.#terms = parse(text);
    const generation = ++this.#generation;
    let until = performance.now() + slice;
    for (const p of [...this.store.phones.values()]) {
      p.matches = this.#terms.length === 0 || matches(this.#terms, p);
      if (performance.now() < until) continue;
      await new Promise((done) => { setTimeout(done); });
      if (generation !== this.#generation) return;
      until = performance.now() + slice;
    }
    if (this.list) this.list.box.scrollTop = 0;
    this.order();
    if (this.#terms.length) put($("spoken"), $("list-note").textContent);
  }

  // seen requests the visible customers when scrolling has stopped.
  #seen(phones) {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => phones.forEach((p) => this.customers.look(p.group.customer)), 150);
  }

  #make() {
    const row = h("div", { class: "phone" });
    row.append(
      row.mark = h("span", { class: "mark", "aria-hidden": "true" }),
      h("div", { class: "words" },
        h("div", { class: "first" }, row.who = h("b", { dir: "auto" }), row.time = h("time")),
        row.said = h("div", { class: "said", dir: "auto" }),
        h("div", { class: "third" }, row.token = h("code"), row.many = h("span", { class: "many" }), row.state = h("span", { class: "chip" }))));
    return row;
  }

  #fill(row, p, above, below) {
    const same = above?.group === p.group;
    const customer = p.group.customer;
    row.classList.toggle("same", same);
    row.classList.toggle("more", below?.group === p.group);
    row.dataset.address = p.address;
    const platform = this.customers.platformOf(p);
    row.mark.dataset.glyph = platform || (p.kind === "topic" || p.kind === "condition" ? "topic" : "phone");
    put(row.who, !customer ? nameOfPhone(p) : same ? platformNames[platform] || "Another phone" : clip(customer, 80));
    const last = shown(this.#terms, p);
    const at = this.#terms.length && last ? last.at : Math.max(last?.at || 0, p.refused?.at || 0);
    put(row.time, at ? when(at) : "");
    this.#say(row.said, last);
    put(row.token, customer ? brief(p.address) : kinds[p.kind]);
    put(row.many, p.messages.length > 1 ? `× ${number(p.messages.length)}` : "");
    this.#state(row, p);
  }

  #say(el, last) {
    const text = !last ? "Nothing received" : last.title || last.body ? clip([last.title, last.body].filter(Boolean).join(" — "), 160) : "data only";
    put(el, text);
    el.classList.toggle("none", !last || !(last.title || last.body));
  }

  // state shows the next answer of FCM, or its last one.
  #state(row, p) {
    const rule = this.rules.of(p);
    const last = p.messages.at(-1);
    const refused = p.refused && (!last || p.refused.at >= last.at) ? p.refused.outcome : "";
    const text = rule !== "OK" ? nameOf(rule) : refused ? `refused: ${nameOf(refused)}` : "";
    put(row.state, text);
    row.state.hidden = !text;
    row.state.className = `chip ${rule === "SLOW" ? "warn" : "bad"}`;
    row.classList.toggle("dead", rule !== "OK" && rule !== "SLOW");
  }
}
