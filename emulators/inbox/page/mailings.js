// The mailings Carillon has, the newest first, each with where its tokens
// went. A mailing under way is asked about again when phones ring for it, at
// most once a second; one that has ended is not.
import { $, anchor, brief, clip, h, number, put, plural, said, sum, timeOf, toast, twice } from "./dom.js";
import { gate, get, mailingPath, post, query } from "./ask.js";
import { final } from "./common/mailing.js";
import { funnel, outcomes, parts } from "./common/sums.js";
import { chip, devices, left, paused, progress, reached } from "./common/words.js";
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

export const headline = (m) => {
  if (m.name || m.title) return m.name || m.title;
  const t = m.message ? text(m.message) : null;
  return t ? t.title || t.body || "Data only" : brief(m.id);
};

// notPossible says how many tokens a mailing cannot be sent to.
function notPossible(t) {
  const n = t ? sum(t.invalid) + t.refused + t.failed : 0;
  return n ? `${number(n)} not possible` : "";
}

export function row() {
  const el = h("div", { class: "mailing" });
  el.append(h("div", { class: "first" }, el.title_ = h("b", { dir: "auto" }), el.chip = chip({ state: "" })), el.bar = progress({}),
    h("div", { class: "third" }, el.sums = h("span"), el.time = h("time")));
  return el;
}

// fill writes a mailing into a row. A row that shows it already stays as it is.
export function fill(el, m) {
  const shown = JSON.stringify([m.id, m.state, m.name, m.title, m.message, m.tokens, m.customers]);
  if (el.shown === shown) return;
  el.shown = shown;

  el.dataset.id = m.id;
  put(el.title_, clip(headline(m)));
  replace(el, "chip", m.state ? chip(m) : h("span"));
  replace(el, "bar", progress(m));
  put(el.sums, [reached(m), notPossible(m.tokens), m.dryRun ? "dry run" : ""].filter(Boolean).join(" · "));
  const planned = m.state === "scheduled" && m.sendAt;
  el.time.replaceChildren(planned ? "at " : "", timeOf(Date.parse(planned || m.createdAt)));
}

// replace puts another element in the place of one of a row.
function replace(el, name, by) {
  el[name].replaceWith(by);
  el[name] = by;
}

const audience = (a, list) => {
  if (!a) return "";
  if (list && list.state !== "shown") return plural(list.entries, list.of.slice(0, -1));
  if (a.everyone) return "everyone";
  if (a.customers) return `customers ${clip(a.customers.join(", "), 200)}`;
  if (a.tokens) return plural(a.tokens.length, "token");
  return Object.entries(a.segments || {}).filter(([, v]) => v?.length).map(([k, v]) => `${k} of ${v.join(", ")}`).join("; ");
};

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
          toast(answer.unflag.state === "completed" ? `${plural(answer.unflag.unflagged, "flag")} undone.` : "Its flags are being undone.");
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
    const open = new Set([...this.el.querySelectorAll("details[open]")].map((d) => d.id));
    this.el.replaceChildren(this.#head(m), ...this.#notices(m));
    if (m.customers && m.tokens) {
      this.el.append(h("section", {}, ...funnel(m)), h("section", {}, ...outcomes(m, open)), h("section", {}, ...parts(m)));
    }
    this.el.append(this.#facts(m), h("p", {}, h("a", { href: "#phones", onclick: () => this.#search(m) }, "Phones it rang")),
      m.message ? h("details", { class: "json", id: "message-json", open: open.has("message-json") }, h("summary", {}, "JSON"), h("pre", { tabindex: 0 }, JSON.stringify(m.message, null, 2))) : "");
  }

  #head(m) {
    const s = m.message ? text(m.message) : {};
    const over = final.has(m.state);
    return h("header", { class: "detail-head" },
      h("button", { type: "button", class: "back", onclick: this.back }, "Back"),
      h("div", { class: "who" }, h("h2", {}, said(clip(headline(m), 200))), m.state ? chip(m) : ""),
      s.body && s.title ? said(clip(s.body, 400), "p", { class: "said" }) : "",
      h("p", { id: "reached" }, [reached(m), left(m), m.dryRun && "dry run: no phone shows it"].filter(Boolean).join(" · ")),
      h("p", { class: "address" }, h("code", {}, m.id)),
      h("div", { class: "buttons" },
        ["accepted", "sending", "scheduled"].includes(m.state) && this.#act("pause", "Pause"),
        m.state === "paused" && this.#act("resume", "Resume", "primary"),
        m.state && !over && this.#cancel(),
        sum(m.held) > 0 && !over && this.#act("flag-held", "FCM is right: flag them"),
        sum(m.held) > 0 && !over && this.#act("drop-held", "FCM is wrong: flag none"),
        sum(m.tokens?.invalid) > 0 && this.#act("unflag", "Undo its flags")));
  }

  #notices(m) {
    const [why, what] = (m.state === "paused" && paused[m.pausedReason]) || [];
    return [
      why && h("p", { class: "notice" }, h("b", {}, why), what, m.pausedDetail && said(m.pausedDetail, "small")),
      m.refusal && h("p", { class: "notice bad" }, h("b", {}, "FCM refused the message. Nobody got it."), said(m.refusal, "small")),
      m.unflag && h("p", { class: "notice" }, m.unflag.state === "running" ? `Its flags are being undone: ${number(m.unflag.unflagged)} so far.` : `${plural(m.unflag.unflagged, "flag")} undone.`),
      m.missingAttribute > 0 && h("p", { class: "notice" }, `${plural(m.missingAttribute, "message")} named an attribute that the customer does not have.`),
    ].filter(Boolean);
  }

  #facts(m) {
    const facts = [["To", said(audience(m.audience, m.audienceList))], m.link && ["Link", anchor(m.link)], m.createdAt && ["Handed in", timeOf(Date.parse(m.createdAt))],
      m.sendAt && ["Planned for", timeOf(Date.parse(m.sendAt))], m.category && ["Category", said(m.category)], m.devices && ["Devices", devices[m.devices]],
      m.expiresAt && !final.has(m.state) && ["Sends until", timeOf(Date.parse(m.expiresAt))], m.startedAt && ["Started", timeOf(Date.parse(m.startedAt))], m.completedAt && ["Ended", timeOf(Date.parse(m.completedAt))],
      m.ratePerMinute && ["Rate", `${number(m.ratePerMinute)} a minute`]].filter(Boolean);
    return h("dl", {}, ...facts.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
  }

  // #search shows the phones that the mailing rang.
  #search(m) {
    $("search").value = `mailing:${m.id}`;
    $("search").dispatchEvent(new Event("input"));
  }
}
