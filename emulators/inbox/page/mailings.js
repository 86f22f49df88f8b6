// The mailings Carillon has, the newest first, each with where its tokens
// went. A mailing under way is asked about again when phones ring for it, at
// most once a second; one that has ended is not.
import { $, anchor, brief, clip, h, number, put, plural, said, sum, timeOf, toast, twice } from "./dom.js";
import { gate, get, mailingPath, post, query } from "./ask.js";
import { ahead, final } from "./common/mailing.js";
import { isSingle, text } from "./message.js";

export const ended = (m) => final.has(m.state) && !(m.tokens?.pending > 0);

export class Mailings extends EventTarget {
  #known = new Map();
  #asking = new Map();
  #order = [];
  #next = "";
  #few = gate(3);
  #timer = 0;
  #wait = 1000;

  get list() { return this.#order.map((id) => this.#known.get(id)); }
  get more() { return this.#next !== ""; }
  peek(id) { return this.#known.get(id); }

  async load(older = false) {
    const answer = await get(query("v1/mailings", { pageSize: 50, ...(older && this.#next ? { pageToken: this.#next } : {}) }));
    const ids = answer.mailings.map((m) => m.id);
    for (const m of answer.mailings) {
      const was = this.#known.get(m.id);
      this.#known.set(m.id, { ...was, ...m, stale: !m.tokens && Boolean(was?.stale || was?.state !== m.state) }); // the list has the sums of those that have ended
    }
    this.#order = older ? [...this.#order, ...ids.filter((id) => !this.#order.includes(id))] : [...ids, ...this.#order.filter((id) => !ids.includes(id))];
    if (older || !this.#next) this.#next = answer.nextPageToken || "";
    this.#changed();
    this.stir();
  }

  // look requests a mailing, unless it has ended or is being requested.
  look(id) {
    const was = this.#known.get(id);
    if (was?.message && was.tokens && !was.stale && ended(was)) return Promise.resolve(was);
    if (!this.#asking.has(id)) this.#asking.set(id, this.refresh(id).finally(() => this.#asking.delete(id)));
    return this.#asking.get(id);
  }

  async refresh(id) {
    const before = this.#known.get(id);
    const m = await this.#few(() => get(mailingPath(id)));
    this.#known.set(id, m);
    if (!this.#order.includes(id)) this.#order.unshift(id);
    const same = before?.tokens && JSON.stringify(before) === JSON.stringify(m);
    this.#wait = same ? Math.min(this.#wait * 1.5, 10_000) : 1000;
    if (!same) this.#changed(m);
    if (before && !ended(before) && ended(m)) this.reached();
    return m;
  }

  // stir requests the running mailings, because something has happened.
  stir(happened = false) {
    if (happened) this.#wait = 1000;
    if (this.#timer && !happened) return;
    if (this.#timer && this.soon) return;
    clearTimeout(this.#timer);
    this.soon = happened;
    this.#timer = setTimeout(() => this.#round(), document.hidden ? 10_000 : this.#wait);
  }

  async #round() {
    const open = this.list.filter((m) => (!ended(m) || (m.stale && m.tokens)) && m.state !== "scheduled");
    await Promise.allSettled(open.slice(0, 20).map((m) => this.refresh(m.id)));
    this.#timer = 0;
    this.soon = false;
    if (open.length > 0) this.stir();
  }

  // heard of a mailing by a message: a new one is looked up, others stirred.
  heard(id) {
    if (isSingle(id)) return; // a message to one customer is no mailing
    const m = this.#known.get(id);
    if (m) {
      if (!ended(m)) this.stir(true);
      return;
    }
    this.#known.set(id, { id, state: "", createdAt: new Date().toISOString() });
    this.refresh(id).catch(() => { /* a mailing of another sender */ });
  }

  // reached reports that the reachability of customers may have changed.
  reached() { this.dispatchEvent(new CustomEvent("reach")); }

  #changed(m) { this.dispatchEvent(new CustomEvent("mailing", { detail: m })); }
}

const parts = [["accepted", "good"], ["invalid", "bad"], ["refused", "bad"], ["failed", "bad"], ["expired", "off"], ["cancelled", "off"]];
const count = (t, name) => (name === "invalid" ? sum(t.invalid) : t[name] || 0);

// reach says how many tokens a mailing has done, and of how many.
function reach(m) {
  const t = m.tokens, more = ahead(m);
  const done = number(t.targeted - t.pending);
  return more ? `${done} of about ${plural(t.targeted + more, "token")}` : `${done} of ${plural(t.targeted, "token")}`;
}

// bar shows the results of a mailing's tokens as a bar. What it has not come to stays
// grey, also once the mailing has ended.
export function bar(m, el = h("div", { class: "progress", role: "progressbar", "aria-valuemin": 0 }, ...parts.map(([name, cls]) => h("i", { class: cls, title: name })), h("i", { class: "open" }))) {
  const t = m.tokens || { targeted: 0, pending: 0 };
  const open = t.pending + ahead(m);
  el.setAttribute("aria-valuemax", Math.max(1, t.targeted + ahead(m)));
  el.setAttribute("aria-valuenow", t.targeted - t.pending);
  el.setAttribute("aria-label", `${m.tokens ? reach(m) : "0 tokens"} done`);
  parts.forEach(([name], i) => { el.children[i].style.flexGrow = count(t, name); });
  el.lastChild.style.flexGrow = t.targeted || open ? open : 1;
  return el;
}

const stateClass = (state) => ({ completed: "good", sending: "busy", accepted: "busy", paused: "warn", scheduled: "off", refused: "bad" }[state] || "off");
const stateChip = (state, el = h("span")) => {
  el.className = `chip ${stateClass(state)}`;
  el.hidden = !state;
  put(el, state);
  return el;
};

export const titleOf = (m) => {
  if (m.name || m.title) return m.name || m.title;
  const t = m.message ? text(m.message) : null;
  return t ? t.title || t.body || "Data only" : brief(m.id);
};

export function row() {
  const el = h("div", { class: "mailing" });
  el.append(h("div", { class: "first" }, el.title_ = h("b", { dir: "auto" }), el.state = h("span")), el.bar = bar({}),
    h("div", { class: "third" }, el.sums = h("span"), el.time = h("time")));
  return el;
}

export function fill(el, m) {
  el.dataset.id = m.id;
  put(el.title_, clip(titleOf(m), 120));
  stateChip(m.state, el.state);
  bar(m, el.bar);
  const t = m.tokens;
  put(el.sums, !t ? "" : [reach(m), sum(t.invalid) ? `${number(sum(t.invalid))} invalid` : "", m.dryRun ? "dry run" : ""].filter(Boolean).join(" · "));
  put(el.time, "");
  const planned = m.state === "scheduled" && m.sendAt;
  el.time.replaceChildren(planned ? "at " : "", timeOf(Date.parse(planned || m.createdAt)));
}

const audience = (a, list) => {
  if (!a) return "";
  if (list && list.state !== "shown") return plural(list.entries, list.of.slice(0, -1));
  if (a.everyone) return "everyone";
  if (a.customers) return `customers ${clip(a.customers.join(", "), 200)}`;
  if (a.tokens) return plural(a.tokens.length, "token");
  return Object.entries(a.segments || {}).filter(([, v]) => v?.length).map(([k, v]) => `${k} of ${v.join(", ")}`).join("; ");
};

const line = (name, n, cls = "") => h("tr", { class: `${cls} ${n ? "" : "zero"}`, "data-sum": name }, h("th", { scope: "row" }, name), h("td", {}, number(n)));

function sums(m) {
  const c = m.customers, t = m.tokens;
  if (!c || !t) return null;
  const x = c.excluded;
  return h("div", { class: "sums" },
    h("table", {}, h("caption", {}, "Customers"), h("tbody", {}, line("matched", c.matched, "total"), line("targeted", c.targeted), line("not reached", c.notReached),
      line("no valid token", x.noValidToken), line("opted out", x.optedOut), line("unsubscribed", x.category), line("unknown", x.unknown), line("muted", x.muted), line("filtered", x.filtered), line("control group", x.control))),
    h("table", {}, h("caption", {}, "Tokens"), h("tbody", {}, line("targeted", t.targeted, "total"), line("accepted", t.accepted, "good"),
      ...Object.entries(t.invalid || {}).map(([code, n]) => line(code, n, "bad")), line("refused", t.refused), line("failed", t.failed),
      line("expired", t.expired), line("cancelled", t.cancelled), line("pending", t.pending), ...(m.missingAttribute ? [line("missing attribute", m.missingAttribute, "bad")] : []))),
    ...Object.entries(m.platforms || {}).filter(([, p]) => p.targeted).map(([name, p]) => h("table", {}, h("caption", {}, `Platform ${name}`), h("tbody", {},
      line("targeted", p.targeted, "total"), line("accepted", p.accepted, "good"), line("invalid", sum(p.invalid), "bad")))),
    ...Object.entries(m.variants || {}).map(([name, v]) => h("table", {}, h("caption", {}, `Variant ${name}`), h("tbody", {},
      line("customers", v.customers, "total"), line("targeted", v.targeted), line("accepted", v.accepted, "good"), line("invalid", sum(v.invalid), "bad")))));
}

// Sheet shows the details of a mailing.
export class Sheet {
  constructor(id, mailings, back) {
    Object.assign(this, { id, mailings, back });
    this.el = h("div", { class: "detail" });
    this.draw();
    mailings.look(id).then(() => this.draw(), (e) => toast(`Mailing ${brief(id)}: ${e.message}`));
  }

  // #cancel asks first, because a cancelled mailing cannot be resumed. The button stays the
  // same when the sheet is drawn again, and so does its question.
  #cancel() { return this.cancel ||= twice(h("button", { type: "button", class: "quiet" }, "Cancel"), "Cancel", () => "Cancel it for good?", this.#acting("cancel", "Cancel")); }

  #act(name, label, cls = "quiet") { return h("button", { type: "button", class: cls, onclick: this.#acting(name, label) }, label); }

  #acting(name, label) {
    return async () => {
      try {
        const answer = await post(mailingPath(this.id, `/${name}`));
        if (name === "unflag") {
          toast(answer.unflag.state === "completed" ? `${plural(answer.unflag.unflagged, "token")} taken to be valid again.` : "Its marks are being taken back.");
          this.mailings.reached();
        }
        await this.mailings.refresh(this.id);
        this.mailings.stir(true);
      } catch (e) {
        toast(`${label}: ${e.message}`);
      }
    };
  }

  draw() {
    const m = this.mailings.peek(this.id) || { id: this.id, state: "" };
    const s = m.message ? text(m.message) : {};
    const over = final.has(m.state);
    this.el.replaceChildren(
      h("header", { class: "detail-head" },
        h("button", { type: "button", class: "back", onclick: this.back }, "Back"),
        h("div", { class: "who" }, h("h2", {}, said(clip(titleOf(m), 200))), stateChip(m.state)),
        s.body && s.title ? said(clip(s.body, 400), "p", { class: "said" }) : "",
        h("p", { class: "address" }, h("code", {}, m.id)),
        h("div", { class: "buttons" },
          ["accepted", "sending", "scheduled"].includes(m.state) && this.#act("pause", "Pause"),
          m.state === "paused" && this.#act("resume", "Resume", "primary"),
          m.state && !over && this.#cancel(),
          sum(m.tokens?.invalid) > 0 && this.#act("unflag", "Take its invalid marks back"))),
      m.pausedBecause ? said(m.pausedBecause, "p", { class: "warning" }) : "",
      m.refusal ? said(m.refusal, "p", { class: "warning" }) : "",
      m.unflag ? h("p", { class: "warning" }, m.unflag.state === "running" ? `Its marks are being taken back: ${number(m.unflag.unflagged)} so far.` : `${plural(m.unflag.unflagged, "mark")} taken back.`) : "",
      bar(m), sums(m) || "",
      h("dl", {}, ...[["To", said(audience(m.audience, m.audienceList))], m.link && ["Link", anchor(m.link)], m.createdAt && ["Handed in", timeOf(Date.parse(m.createdAt))],
        m.sendAt && ["Planned for", timeOf(Date.parse(m.sendAt))], m.category && ["Category", said(m.category)], m.devices && ["Devices", m.devices === "latest" ? "the latest only" : "all"],
        m.expiresAt && !over && ["Sends until", timeOf(Date.parse(m.expiresAt))], m.startedAt && ["Started", timeOf(Date.parse(m.startedAt))], m.completedAt && ["Ended", timeOf(Date.parse(m.completedAt))],
        m.secondsLeft > 0 && ["Left", `about ${m.secondsLeft < 90 ? plural(m.secondsLeft, "second") : plural(Math.round(m.secondsLeft / 60), "minute")}`],
        m.ratePerMinute && ["Rate", `${number(m.ratePerMinute)} a minute`], m.dryRun && ["Dry run", "no phone shows it"]]
        .filter(Boolean).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
      h("p", {}, h("a", { href: "#phones", onclick: () => {
        $("search").value = `mailing:${m.id}`;
        $("search").dispatchEvent(new Event("input"));
      } }, "Phones it rang")),
      m.message ? h("details", { class: "json" }, h("summary", {}, "JSON"), h("pre", { tabindex: 0 }, JSON.stringify(m.message, null, 2))) : "");
  }
}
