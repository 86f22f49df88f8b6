// Customers as Carillon knows them: whether they can be reached, and which of
// their tokens it has marked invalid. Answers are kept until something happens
// that may have changed them, and asked for again only where they are in sight.
import { customerPath, gate, get } from "./ask.js";
import { brief, clip, h, moment, number, plural, put, said, timeOf } from "./dom.js";
import { isSingle } from "./message.js";

const alphabet = "0123456789abcdefghijklmnopqrstuv";

// tokenId is the id under which Carillon keeps a token: the first 160 bits of a
// SHA-256, in base32hex.
export async function tokenId(token) {
  if (!globalThis.crypto?.subtle) return ""; // not on loopback and not over TLS
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`token\0${token}`)));
  let out = "", bits = 0, value = 0;
  for (const byte of sum.subarray(0, 20)) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) out += alphabet[(value >> (bits - 5)) & 31];
  }
  return out;
}

export class Customers extends EventTarget {
  #known = new Map(); // id → {data, stale, asking}
  #few = gate(4);

  constructor(on) {
    super();
    this.on = on; // whether there are functions to ask
  }

  // peek returns the known data; undefined: nothing yet, null: no such customer.
  peek(id) { return this.#known.get(id)?.data; }

  // platformOf returns the platform of a phone, "" while it is not known.
  platformOf(phone) {
    const customer = phone.group?.customer;
    const tokens = this.peek(customer)?.tokens;
    if (!tokens) return "";
    if (phone.id === undefined) {
      phone.id = "";
      tokenId(phone.address).then((id) => {
        phone.id = id;
        this.dispatchEvent(new CustomEvent("customer", { detail: customer }));
      });
    }
    return tokens.find((t) => t.id === phone.id)?.platform || "";
  }

  // ids returns the requested customers that Carillon has.
  get ids() { return [...this.#known].filter(([, k]) => k.data).map(([id]) => id); }

  // look requests a customer unless the stored answer is current.
  look(id) {
    if (!this.on || !id) return;
    let k = this.#known.get(id);
    if (!k) this.#known.set(id, k = { data: undefined, stale: true, asking: false });
    if (!k.stale || k.asking) return;
    k.asking = true;
    k.stale = false;
    this.#few(() => get(customerPath(id))).then(
      (data) => { k.data = data; },
      (e) => {
        if (e.status === 404) k.data = null;
        else setTimeout(() => { k.stale = true; }, 5000);
      },
    ).finally(() => {
      k.asking = false;
      this.dispatchEvent(new CustomEvent("customer", { detail: id }));
    });
  }

  // doubt marks customers to be requested again when they are next visible.
  doubt(id) {
    if (id === undefined) for (const k of this.#known.values()) k.stale = true;
    else if (this.#known.has(id)) this.#known.get(id).stale = true;
    this.dispatchEvent(new CustomEvent("doubt", { detail: id }));
  }
}

// reachChip shows in two words whether a customer can be reached.
export function reachChip(customer, el = h("span")) {
  const [cls, text] = customer === undefined ? ["", ""] : customer === null ? ["unknown", "unknown to Carillon"]
    : customer.optedOut ? ["off", "opted out"] : customer.pushAvailable ? ["good", "reachable"] : ["bad", "not reachable"];
  el.className = `chip ${cls}`;
  el.hidden = !text;
  if (el.textContent !== text) el.textContent = text;
  return el;
}

const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
const list = (o) => said(o.join(", "));

function tokenRow(t) {
  return h("tr", {},
    h("td", {}, h("code", { title: t.id }, brief(t.id))),
    h("td", {}, t.platform || "–", t.app ? said(` ${t.app}`, "small") : null),
    h("td", {}, timeOf(Date.parse(t.seenAt))),
    h("td", {}, t.valid ? h("span", { class: "chip good" }, t.latest ? "valid, latest" : "valid")
      : h("span", { class: "chip bad", title: t.invalid?.at ? `since ${moment(Date.parse(t.invalid.at))}` : "" }, t.invalid?.code || "invalid"),
    isSingle(t.invalid?.mailing) ? h("span", { class: "by" }, "by a message")
    : t.invalid?.mailing ? h("a", { class: "by", href: `#mailings/${encodeURIComponent(t.invalid.mailing)}` }, "by a mailing") : null));
}

// sheet shows all that Carillon has about a customer.
export function sheet(c) {
  const facts = [
    c.segments?.length && fact("Segments", list(c.segments)),
    Object.keys(c.categories || {}).length && fact("Categories", list(Object.entries(c.categories).map(([k, on]) => `${k}: ${on ? "yes" : "no"}`))),
    ...Object.entries(c.attributes || {}).map(([name, value]) => [h("dt", {}, said(name)), h("dd", {}, said(typeof value === "string" ? value : JSON.stringify(value)))]),
    c.timeZone && fact("Time zone", c.timeZone),
  ].filter(Boolean).flat();
  return h("div", { class: "sheet" },
    facts.length > 0 && h("dl", {}, ...facts),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Push tokens" }, h("table", {},
      h("caption", {}, plural(c.tokens.length, "push token"), c.tokens.length ? `, ${number(c.tokens.filter((t) => t.valid).length)} valid` : ""),
      c.tokens.length > 0 && h("thead", {}, h("tr", {}, ...["Token id", "Platform", "Seen", "State"].map((x) => h("th", { scope: "col" }, x)))),
      h("tbody", {}, ...c.tokens.map(tokenRow)))));
}

// row creates a line of the list of customers, and fill writes it.
export function row() {
  const el = h("div", { class: "customer" });
  el.append(h("div", { class: "words" }, el.who = h("b", { dir: "auto" }), el.many = h("span", { class: "many" })), el.chip = h("span", { class: "chip" }));
  return el;
}

export function fill(el, g, customers) {
  el.dataset.customer = g.customer;
  put(el.who, clip(g.customer, 80));
  put(el.many, g.phones.length ? plural(g.phones.length, "phone") : "no phone rung yet");
  reachChip(customers.peek(g.customer), el.chip);
}

// Details shows a customer: the data of Carillon, and the phones.
export class Details {
  constructor(id, { customers, store, back, send }) {
    Object.assign(this, { id, customers, store, back, send });
    this.el = h("div", { class: "detail" });
    this.customers.look(id);
    this.draw();
  }

  draw() {
    const c = this.customers.peek(this.id);
    const theirs = this.store.groups.get(`customer:${this.id}`)?.phones || [];
    this.el.replaceChildren(
      h("header", { class: "detail-head" }, h("button", { type: "button", class: "back", onclick: this.back }, "Back"),
        h("div", { class: "who" }, h("h2", {}, h("span", { dir: "auto" }, this.id)), reachChip(c)),
        h("div", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: () => this.send([this.id]) }, "Send a mailing"))),
      c ? sheet(c) : h("p", { class: "note" }, c === null ? "Carillon does not know this customer." : "…"),
      theirs.length ? h("section", {}, h("h3", {}, "Phones"), h("ul", { class: "plain" }, ...theirs.map((p) => h("li", {},
        h("a", { href: `#phones/${encodeURIComponent(p.key)}` }, h("code", {}, brief(p.address))), ` ${plural(p.messages.length, "message")}`)))) : "");
  }

  about() { this.draw(); }
}
