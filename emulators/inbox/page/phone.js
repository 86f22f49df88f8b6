// One phone: its screen with the messages it was sent, and the rule for the answer of FCM.
import { brief, copier, date, h, hour, number, put, said, toast, timeOf, when } from "./dom.js";
import { get, query } from "./ask.js";
import { platformNames } from "./common/mailing.js";
import { face, offerWhole, stack } from "./preview.js";
import { platforms } from "./message.js";
import { kinds, nameOfPhone } from "./phones.js";
import { nameOf, tokenStates } from "./rules.js";
import { reachChip, sheet, tokenId } from "./customers.js";

const page = 60; // messages on the screen; older ones by a button

// A Phone is the details of a phone of the store.
export class Phone {
  #messages = [];
  #due = false;
  #id = "";
  #most = page;

  constructor(phone, { rules, customers, back, store }) {
    Object.assign(this, { phone, rules, customers, store });
    this.platform = "";
    this.el = h("div", { class: "detail one-phone" }, this.#head(back), this.flag = h("div", { class: "flag" }), this.#faces(),
      this.screen = h("div", { class: "screen", role: "region", "aria-label": "Screen", tabindex: 0 }), this.known = h("section", { class: "known" }));
    tokenId(phone.address).then((id) => {
      this.#id = id;
      this.about();
    });
    customers.look(phone.group.customer);
    this.about();
    this.judge();
    this.load();
  }

  #head(back) {
    const p = this.phone;
    this.buttons = tokenStates.map((s) => h("button", { type: "button", "data-outcome": s.outcome, "aria-pressed": "false", onclick: () => this.#make(s) }, s.label));
    const device = p.kind === "token" || p.kind === "fid";
    return h("header", { class: "detail-head" },
      h("button", { type: "button", class: "back", onclick: back }, "Back"),
      h("div", { class: "who" },
        h("h2", {}, p.group.customer ? h("a", { href: `#customers/${encodeURIComponent(p.group.customer)}` }, said(p.group.customer)) : said(nameOfPhone(p))),
        this.chip = reachChip(undefined)),
      h("p", { class: "address" }, h("code", { title: p.address }, p.group.customer ? brief(p.address) : kinds[p.kind]), copier(p.address, `Copy the ${kinds[p.kind]}`)),
      device && h("div", { class: "labelled" }, h("span", { id: "outcomes-label" }, "FCM's next answers for this token"),
        h("div", { class: "segments", role: "group", "aria-labelledby": "outcomes-label" }, ...this.buttons)),
      this.other = h("p", { class: "note" }));
  }

  #faces() {
    this.tabs = platforms.map((p) => h("button", { type: "button", "data-platform": p, onclick: () => this.#as(p) }, platformNames[p]));
    return h("div", { class: "bar" }, h("div", { class: "segments small", role: "group", "aria-label": "Shown as on" }, ...this.tabs), this.count = h("span", { class: "note" }));
  }

  #as(platform) {
    this.chosen = platform;
    this.draw();
  }

  async #make(state) {
    try {
      await this.rules.set(this.phone, state.outcome);
    } catch (e) {
      toast(`FCM did not take it: ${e.message}`);
    }
    this.judge();
  }

  // judge shows the rule that applies.
  judge() {
    const now = this.rules.of(this.phone);
    for (const b of this.buttons) b.setAttribute("aria-pressed", String(b.dataset.outcome === now));
    const last = this.phone.refused;
    put(this.other, [tokenStates.some((s) => s.outcome === now) ? "" : `A rule says: ${nameOf(now)}.`, last ? `FCM last refused a message with ${last.outcome}, ${when(last.at)}.` : ""].filter(Boolean).join(" "));
  }

  async load() {
    const p = this.phone;
    if (p.kind !== "token" && p.kind !== "fid") {
      this.#messages = p.messages.map((s) => s.whole);
    } else {
      const { messages } = await get(query("emulator/messages", { token: p.address, limit: this.#most }));
      const of = messages.filter((m) => (m.token || m.fid) === p.address);
      const newest = of.at(-1)?.sequence || 0;
      this.#messages = of.concat(this.#messages.filter((m) => m.sequence > newest));
    }
    this.draw();
  }

  // got shows a message that has just arrived.
  got(m) {
    if (this.#messages.some((o) => o.sequence === m.sequence)) return;
    this.#messages.push(m);
    if (this.#messages.length > this.#most) this.#messages.shift();
    this.draw();
  }

  // about shows the data of Carillon about the customer and this token.
  about() {
    const c = this.customers.peek(this.phone.group.customer);
    reachChip(c, this.chip);
    this.known.replaceChildren(...(c ? [h("h3", {}, "In Carillon"), sheet(c)] : []));
    const mine = c?.tokens.find((t) => t.id === this.#id);
    this.platformKnown = platforms.includes(mine?.platform) ? mine.platform : "";
    this.flag.replaceChildren(...(mine && !mine.valid ? [h("p", {}, h("b", {}, "Marked invalid"), ` by Carillon: ${mine.invalid?.code || ""}, `,
      mine.invalid?.at ? timeOf(Date.parse(mine.invalid.at)) : "")] : []));
    this.draw();
  }

  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const platform = this.chosen || this.platformKnown || "android";
    for (const t of this.tabs) t.setAttribute("aria-pressed", String(t.dataset.platform === platform));
    const { standing, replaced } = stack(this.#messages, platform);
    const all = this.phone.messages.length;
    this.judge();
    put(this.count, all ? `${number(all)} received` : "");
    const signature = `${platform} ${this.#messages.map((m) => m.sequence)} ${all > this.#messages.length}`;
    if (signature === this.signature) return;
    this.signature = signature;
    this.screen.className = `screen on-${platform}`;
    const open = new Set([...this.screen.querySelectorAll("details[open]")].map((d) => d.closest("[data-sequence]")?.dataset.sequence));
    const show = (m) => {
      const f = face(m, platform);
      if (open.has(String(m.sequence))) f.querySelector(".json").open = true;
      return f;
    };
    const last = this.#messages.at(-1);
    this.screen.replaceChildren(
      ...(platform !== "web" && last ? [h("div", { class: "lock", "aria-hidden": "true" }, h("b", {}, hour(Date.parse(last.receivedAt))), h("span", {}, date(Date.parse(last.receivedAt))))] : []),
      ...(standing.length === 0 ? [h("p", { class: "quiet-screen" }, "Nothing on this screen.")] : standing.map(show)),
      ...(replaced.length ? [h("details", { class: "replaced" }, h("summary", {}, `${number(replaced.length)} replaced by newer ones`), ...replaced.map(show))] : []),
      ...(all > this.#messages.length && this.#messages.length >= this.#most ? [h("button", { type: "button", class: "quiet", onclick: () => {
        this.#most += page;
        this.load();
      } }, "Show older ones")] : []));
    for (const n of this.screen.querySelectorAll(".notification")) offerWhole(n);
  }
}
