// The form for a new mailing.
import { $, check, field, h, listed, plural, said, toast } from "./dom.js";
import { faultsOf, get, post } from "./ask.js";
import { devices } from "./common/words.js";

const input = (name, props = {}) => h("input", { id: `new-${name}`, name, autocomplete: "off", ...props });

// ask is shown before a mailing rings all customers.
const ask = "This goes to everyone: press Send once more.";

const hints = { customers: "customer ids", segments: "segments; in any of them", tokens: "registered push tokens" };

export class Compose {
  constructor(sent) {
    this.sent = sent;
    this.dialog = $("composer");
    this.who = h("textarea", { id: "new-who", name: "who", rows: 2, spellcheck: "false" });
    this.whoField = field("Who", this.who);
    this.faults = h("div", { class: "faults", role: "alert" });
    this.submit = h("button", { type: "submit", class: "primary" }, "Send");
    this.form = h("form", { novalidate: true, onsubmit: (e) => this.#send(e), onchange: () => this.#show() },
      h("h2", { id: "composer-title" }, "New mailing"),
      field("Title", input("title")),
      field("Text", h("textarea", { id: "new-body", name: "body", rows: 3 })),
      h("div", { class: "two" }, field("Link", input("link", { inputmode: "url", placeholder: "https://" })), field("Image", input("image", { inputmode: "url", placeholder: "https://" }))),
      h("fieldset", {}, h("legend", {}, "To"), h("div", { class: "choices" },
        ...["everyone", "customers", "segments", "tokens"].map((v) => h("label", {}, h("input", { type: "radio", name: "to", value: v, }), v)))),
      this.whoField,
      h("div", { class: "two" },
        field("Devices", h("select", { id: "new-devices", name: "devices" }, this.asSet = h("option", { value: "" }, "as set"), ...Object.entries(devices).map(([value, word]) => h("option", { value }, word)))),
        field("When", input("when", { type: "datetime-local", step: 60 }), "Empty: now.")),
      check("Dry run: FCM judges it, no phone shows it", h("input", { type: "checkbox", name: "dryRun" })),
      this.faults,
      h("div", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, "Cancel"), this.submit));
    this.dialog.replaceChildren(this.form);
    this.dialog.addEventListener("click", (e) => { if (e.target === this.dialog) this.dialog.close(); });
    this.#show();
  }

  // open shows the form, for the given customers if there are any.
  open(customers) {
    if (customers?.length) {
      this.form.elements.to.value = "customers";
      this.who.value = customers.join("\n");
    }
    this.key = crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`;
    this.faults.replaceChildren();
    this.#show();
    this.dialog.showModal();
    this.form.elements.title.focus();
    get("v1/settings").then((s) => { this.asSet.textContent = `as set: ${devices[s.devices]}`; }, () => { /* it stays "as set" */ });
  }

  #show() {
    const to = this.form.elements.to.value;
    this.whoField.hidden = !to || to === "everyone";
    this.#disagree();
    this.who.placeholder = this.whoField.hidden ? "" : `${hints[to]}, with commas or on lines`;
  }

  #draft() {
    const v = (name) => this.form.elements[name].value.trim();
    const notification = {};
    for (const name of ["title", "body", "image"]) if (v(name)) notification[name] = v(name);
    const to = v("to"), who = listed(this.who.value);
    const draft = { message: { notification }, audience: to === "everyone" ? { everyone: true } : { [to]: to === "segments" ? { any: who } : who } };
    if (v("link")) draft.link = v("link");
    if (v("devices")) draft.devices = v("devices");
    if (v("when")) draft.sendAt = new Date(v("when")).toISOString(); // the form has local time
    if (this.form.elements.dryRun.checked) draft.dryRun = true;
    return draft;
  }

  // #missing says what a mailing needs that the form does not have.
  #missing() {
    const v = (name) => this.form.elements[name].value.trim();
    return [!v("title") && !v("body") && "Write a title or a text.", !v("to") && "Choose who gets it."].filter(Boolean);
  }

  #complain(list) { this.faults.replaceChildren(h("ul", {}, ...list.map((t) => h("li", {}, said(t))))); }

  #disagree() {
    this.agreed = "";
    this.submit.textContent = "Send";
  }

  // #ask says how many customers a mailing to everyone has, before the second click.
  async #ask(draft, body) {
    const p = await post("v1/mailings/preview", draft);
    this.agreed = body;
    this.submit.textContent = `Send to ${plural(p.customers, "customer")}`;
    this.#complain([ask]);
  }

  async #send(e) {
    e.preventDefault();
    const missing = this.#missing();
    if (missing.length) {
      this.#complain(missing);
      return;
    }
    this.submit.disabled = true;
    this.faults.replaceChildren();
    const draft = this.#draft();
    const body = JSON.stringify(draft);
    if (this.last !== body) this.key = crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`; // a changed mailing needs a new key
    this.last = body;
    try {
      if (draft.audience.everyone && this.agreed !== body) {
        await this.#ask(draft, body);
        return;
      }
      this.#disagree();
      const { id } = await post("v1/mailings", body, { "Idempotency-Key": this.key });
      this.last = "";
      this.dialog.close();
      toast("The mailing is on its way.", " ", h("a", { href: `#mailings/${encodeURIComponent(id)}` }, "See its sums"));
      this.sent(id);
    } catch (err) {
      this.#complain(faultsOf(err));
    } finally {
      this.submit.disabled = false;
    }
  }
}
