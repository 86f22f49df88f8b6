// The form for a new mailing: message, audience, time, and what it would do.
import { check, field, h, listed, number, plural, said, toast } from "./dom.js";
import { faultsOf, fieldOf, get, mailingPath, post } from "./ask.js";
import { hoursFields } from "./settings.js";
import { Estimate } from "./estimate.js";
import { Messages } from "./messages.js";
import { confirmed } from "./dialog.js";
import { devices, results } from "./common/words.js";

const wait = 700; // milliseconds after the last key, before the estimate is asked for
const text = (id, props = {}) => h("input", { id, autocomplete: "off", ...props });

export async function compose(page) {
  if (!page.canSend) {
    page.main.append(h("h1", {}, "Compose"), h("p", { class: "notice" }, "You may look, but not send."));
    return;
  }
  const from = page.query.get("from");
  const old = from ? await get(mailingPath(from)) : null;
  if (page.isGone()) return;

  const form = new Form(page, old);
  page.main.append(h("h1", {}, "Compose a mailing"), form.el);
  form.changed();
}

class Form {
  constructor(page, old) {
    this.page = page;
    this.estimate = new Estimate();
    this.messages = new Messages(old, () => this.changed());
    this.#fields(old);
    this.faults = h("div", { role: "alert", id: "faults" });
    this.send = h("button", { type: "submit", class: "primary", id: "send" }, "Send");
    this.el = h("div", { class: "columns compose" }, h("form", { novalidate: true, onsubmit: (e) => this.#send(e), oninput: () => this.changed(), onchange: () => this.changed() },
      this.#card("Message", h("div", { class: "row" }, field("Name of the mailing", this.name, "For lists and reports; no phone shows it."), field("Tags", this.tags, "With commas.")), this.messages.el),
      this.#card("Audience", this.#audience()), this.#card("When", this.#when()),
      this.#card("Send", check("Dry run: everything happens, but no phone shows it", this.dryRun), this.faults, h("div", { class: "buttons" }, this.send))),
    h("div", { class: "aside" }, this.messages.preview, this.#test(), this.estimate.el));
    page.onLeave(() => clearTimeout(this.timer));
  }

  #card(title, ...content) { return h("section", { class: "card" }, h("h2", {}, title), ...content); }

  #fields(old) {
    const s = old?.audience?.segments || {};
    this.name = text("name", { value: old?.name || "", maxlength: 100 });
    this.tags = text("tags", { value: (old?.tags || []).join(", ") });
    this.any = text("any", { value: (s.any || []).join(", ") });
    this.all = text("all", { value: (s.all || []).join(", ") });
    this.none = text("none", { value: (s.none || []).join(", ") });
    this.ids = h("textarea", { id: "ids", rows: 3, spellcheck: "false", value: (old?.audience?.customers || []).join("\n") });
    const kind = old?.audience?.everyone ? "everyone" : old?.audience?.customers ? "customers" : s.any || s.all ? "segments" : "";
    this.to = ["everyone", "segments", "customers"].map((v) => h("input", { type: "radio", name: "to", value: v, id: `to-${v}`, checked: v === kind }));
    this.platforms = ["android", "ios", "web"].map((v) => h("input", { type: "checkbox", value: v, checked: old?.only?.platforms?.includes(v) || false }));
    this.control = text("control", { inputmode: "decimal", value: old?.controlGroup ? String(old.controlGroup * 100) : "" });
    this.most = text("most", { inputmode: "numeric", value: old?.maxCustomers || "" });
    this.category = text("category", { value: old?.category || "" });
    this.devices = h("select", { id: "devices" }, h("option", { value: "" }, "as the settings say"), ...Object.entries(devices).map(([value, word]) => h("option", { value }, word)));
    this.devices.value = old?.devices || "";
    this.sendAt = h("input", { type: "datetime-local", id: "send-at" });
    this.lifetime = text("lifetime", { inputmode: "numeric", placeholder: "24" });
    this.rate = text("rate", { inputmode: "numeric", value: old?.ratePerMinute || "" });
    this.hours = hoursFields(old?.window, "hours");
    this.immediately = h("input", { type: "checkbox", id: "immediately", checked: old?.immediately || false });
    this.dryRun = h("input", { type: "checkbox", id: "dry-run" });
    this.self = text("self", { value: localStorage.getItem("self") || "", maxlength: 512 });
    this.sample = text("sample", { maxlength: 512 });
  }

  #audience() {
    const words = ["Everyone", "Segments", "Listed customers"];
    this.segments = h("div", { class: "row" }, field("In any of these", this.any, "With commas."), field("In all of these", this.all, "Segments."), field("In none of these", this.none, "These are left out."));
    this.customers = field("Ids of customers", this.ids, "With commas, or one a line; at most 10,000.");
    return h("div", { class: "card-body" }, h("fieldset", {}, h("legend", {}, "Who gets it"), h("div", { class: "choices" }, ...this.to.map((input, i) => check(words[i], input)))), this.segments, this.customers,
      h("fieldset", {}, h("legend", {}, "Only phones with"), h("div", { class: "choices" }, ...this.platforms.map((input) => check({ android: "Android", ios: "iOS", web: "a browser" }[input.value], input)))),
      h("div", { class: "row" }, field("Category", this.category, "Who has unsubscribed from it is left out."), field("Phones", this.devices, "All, or only the newest.")),
      h("div", { class: "row" }, field("Control group, per cent", this.control, "These customers get nothing, to compare with; at most 50."), field("Pause above, customers", this.most, "A mailing to more customers waits for a person before it sends.")));
  }

  #when() {
    return h("div", { class: "card-body" }, h("div", { class: "row" }, field("Send at", this.sendAt, "In your own time zone; empty: now."), field("Stop after, hours", this.lifetime, "What is not sent by then is not sent at all."), field("At most, a minute", this.rate, "At least 600; empty: as fast as the quota allows.")),
      check("Only at certain hours of the customer's own time", this.hours.on), this.hours.body, check("At any hour, whatever the settings say", this.immediately));
  }

  #test() {
    this.testResult = h("p", { role: "status", id: "test-result", class: "note" });
    const button = h("button", { type: "button", id: "test", onclick: () => this.#sendTest(button) }, "Send a test");
    return h("section", { class: "card" }, h("h2", {}, "Test on your own phone"), field("Your own customer id", this.self, "The browser remembers it."), h("div", { class: "buttons" }, button), this.testResult,
      field("Show the text of this customer", this.sample, "Empty: of one customer of the audience."));
  }

  get kind() { return this.to.find((i) => i.checked)?.value || ""; }

  // draft makes the body of POST /v1/mailings; faults has what no draft can be made of.
  draft() {
    const faults = [], d = { ...this.messages.draft() };
    const put = (key, value) => { if (value) d[key] = value; };
    const numeric = (key, input, label, scale = 1) => {
      const v = input.value.trim().replace(",", ".");
      if (!v) return;
      if (Number.isFinite(Number(v))) d[key] = Number(v) / scale;
      else faults.push(`${label} has to be a number.`);
    };
    put("name", this.name.value.trim());
    const tags = listed(this.tags.value);
    if (tags.length) d.tags = tags;

    const kind = this.kind;
    if (kind === "everyone") d.audience = { everyone: true };
    if (kind === "customers") d.audience = { customers: listed(this.ids.value) };
    if (kind === "segments") d.audience = { segments: Object.fromEntries([["any", this.any], ["all", this.all], ["none", this.none]].map(([k, i]) => [k, listed(i.value)]).filter(([, l]) => l.length)) };
    if (!kind) faults.push("Choose who gets it: everyone, segments, or listed customers.");

    const platforms = this.platforms.filter((i) => i.checked).map((i) => i.value);
    if (platforms.length) d.only = { platforms };
    put("category", this.category.value.trim());
    put("devices", this.devices.value);
    numeric("controlGroup", this.control, "The control group", 100);
    numeric("maxCustomers", this.most, "The number of customers above which it pauses");
    numeric("ratePerMinute", this.rate, "The number of messages a minute");
    if (this.sendAt.value) d.sendAt = new Date(this.sendAt.value).toISOString();
    const life = this.lifetime.value.trim();
    if (life && !/^\d+$/.test(life)) faults.push("The hours after which it stops have to be a whole number.");
    else if (life) d.lifetime = `${life}h`;
    put("window", this.hours.read());
    put("immediately", this.immediately.checked);
    put("dryRun", this.dryRun.checked);
    return { draft: d, faults: [...this.messages.faults(), ...faults] };
  }

  // changed shows what follows from what was typed, and asks for the estimate a moment later.
  changed() {
    const kind = this.kind;
    this.segments.hidden = kind !== "segments";
    this.customers.hidden = kind !== "customers";
    this.send.replaceChildren(this.dryRun.checked ? "Start the dry run" : this.sendAt.value ? "Plan the mailing" : "Send the mailing");
    this.messages.draw();
    clearTimeout(this.timer);
    const { draft, faults } = this.draft();
    if (faults.length) {
      this.estimate.wait(faults);
      return;
    }
    const customer = this.sample.value.trim();
    const body = JSON.stringify({ ...draft, ...(customer && { customer }) });
    if (body === this.asked) return;
    this.estimate.busy();
    this.timer = setTimeout(() => this.#ask(body), wait);
  }

  async #ask(body) {
    this.asked = body;
    try {
      const p = await post("v1/mailings/preview", JSON.parse(body));
      if (this.asked !== body || this.page.isGone()) return;
      this.preview = p;
      this.estimate.show(p);
      this.messages.rendered(p.payloads);
    } catch (e) {
      if (this.asked !== body || this.page.isGone()) return;
      this.preview = null;
      this.asked = "";
      this.estimate.wait(faultsIn(e));
    }
  }

  #complain(list) {
    this.faults.replaceChildren(...(list.length ? [h("ul", { class: "notice bad faults" }, ...list.map((t) => said(t, "li")))] : []));
  }

  async #sendTest(button) {
    const customer = this.self.value.trim(), faults = this.messages.faults();
    if (!customer) faults.push("Type your own customer id first.");
    this.testResult.replaceChildren(faults.join(" "));
    if (faults.length) return;
    localStorage.setItem("self", customer);
    button.disabled = true;
    this.testResult.replaceChildren("Sending …");
    try {
      for (const v of this.messages.each()) {
        const m = await post("v1/messages?wait=10s", { customer, ...v }, { "Idempotency-Key": crypto.randomUUID() });
        this.testResult.replaceChildren(testWords(m));
      }
    } catch (e) {
      this.testResult.replaceChildren(faultsIn(e).join(" "));
    } finally {
      button.disabled = false;
      button.focus();
    }
  }

  async #send(e) {
    e.preventDefault();
    const { draft, faults } = this.draft();
    this.#complain(faults);
    if (faults.length) return;
    this.send.disabled = true;
    try {
      const p = await post("v1/mailings/preview", draft);
      this.estimate.show(p);
      if (!await confirmed(question(draft, p))) return;
      const body = JSON.stringify(draft);
      if (this.sent !== body) this.key = crypto.randomUUID(); // the same draft again is the same mailing
      this.sent = body;
      const { id } = await post("v1/mailings", draft, { "Idempotency-Key": this.key });
      toast(draft.dryRun ? "The dry run has started." : draft.sendAt ? "The mailing is planned." : "The mailing is on its way.");
      location.hash = `#/mailings/${encodeURIComponent(id)}`;
    } catch (err) {
      this.#complain(faultsIn(err));
    } finally {
      this.send.disabled = false;
      if (!this.page.isGone() && document.activeElement === document.body) this.send.focus();
    }
  }
}

// places are what the form calls the fields of a draft.
const places = { "body.audience.segments": "Segments", "body.audience.customers": "Ids of customers", "body.ratePerMinute": "At most, a minute", "body.lifetime": "Stop after", "body.sendAt": "Send at", "body.window": "Hours", "body.controlGroup": "Control group", "body.message": "Message", "body.link": "Link", "body.customer": "Show the text of this customer" };

// place is what the form calls the field that a fault is in.
function place(location) {
  const known = Object.keys(places).find((p) => location?.startsWith(p));
  return known ? places[known] : fieldOf(location);
}

const faultsIn = (e) => faultsOf(e, place).map((t) => (e.faults?.length ? `${t}.` : t));

function testWords(m) {
  if (m.excluded) return "You are left out: no valid phone of this customer, or the customer wants no pushes.";
  const t = m.tokens?.filter((x) => x.result !== "pending") || [];
  return t.length ? `${plural(t.length, "phone")}: ${t.map((x) => (results[x.code] || results[x.result])[0].toLowerCase()).join(", ")}.` : "It is on its way.";
}

// question is what the dialog asks before a mailing is sent. To everyone, the number has
// to be typed.
function question(draft, p) {
  const when = draft.sendAt ? `It starts on ${new Date(draft.sendAt).toLocaleString("en-GB")}.` : "It starts now.";
  const everyone = draft.audience.everyone && !draft.dryRun;
  return {
    title: draft.dryRun ? "Start this dry run?" : draft.sendAt ? "Plan this mailing?" : "Send this mailing?", label: draft.dryRun ? "Start the dry run" : draft.sendAt ? "Plan it" : "Send it",
    text: [`About ${plural(p.targeted, "customer")} with ${plural(p.tokens, "phone")} get it${draft.dryRun ? ", but no phone shows it" : ""}.`, when, everyone ? "This goes to everyone. What FCM has taken cannot be taken back." : "What FCM has taken cannot be taken back."],
    ...(everyone && { type: number(p.targeted), typeLabel: `Type the number of customers, ${number(p.targeted)}, to send to everyone` }),
  };
}
