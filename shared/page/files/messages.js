// The message of a mailing, or its variants, with how phones would cut it.
import { field, h, number, said } from "./dom.js";

const letters = "abcde";

export class Messages {
  constructor(old, changed) {
    this.changed = changed;
    this.list = [];
    this.el = h("div", { class: "card-body" });
    this.box = h("div", { class: "card-body" });
    this.add = h("button", { type: "button", id: "add-variant", onclick: () => this.#grow() }, "Add a variant");
    this.el.append(this.box, h("div", { class: "buttons" }, this.add), h("small", {}, "{{ customer.first_name | default: 'there' }} puts in an attribute of the customer."));
    this.preview = h("section", { class: "card", "aria-labelledby": "preview-title" });
    const variants = Object.entries(old?.variants || {});
    if (variants.length) for (const [, v] of variants) this.#message(v);
    else this.#message(old || {});
    this.#name();
  }

  #message(from) {
    const n = from.message?.notification || {}, i = this.list.length;
    const id = (name) => (i ? `${name}-${letters[i]}` : name);
    const m = {
      rest: from.message || {}, // what the form has no field for is kept
      title: h("input", { id: id("title"), autocomplete: "off", value: n.title || "" }), body: h("textarea", { id: id("body"), rows: 3, value: n.body || "" }),
      link: h("input", { id: id("link"), autocomplete: "off", inputmode: "url", placeholder: "https://", value: from.link || "" }), image: h("input", { id: id("image"), autocomplete: "off", inputmode: "url", placeholder: "https://", value: n.image || "" }),
      share: h("input", { id: id("share"), autocomplete: "off", inputmode: "decimal", value: from.share ? String(from.share * 100) : "" }),
    };
    m.legend = h("legend", {});
    m.shareField = field("Share of the customers, per cent", m.share);
    m.drop = h("button", { type: "button", onclick: () => this.#shrink(m) }, "Remove this variant");
    m.el = h("fieldset", {}, m.legend, field("Title", m.title), field("Text", m.body), h("div", { class: "row" }, field("Link", m.link, "Where a tap leads."), field("Image", m.image, "https only.")), m.shareField, m.drop);
    this.list.push(m);
    this.box.append(m.el);
    return m;
  }

  #grow() {
    const first = this.list[0];
    const m = this.#message({ message: { notification: { title: first.title.value, body: first.body.value } }, link: first.link.value });
    this.#split();
    m.title.focus();
  }

  #shrink(m) {
    this.list = this.list.filter((x) => x !== m);
    m.el.remove();
    this.#split();
    this.add.focus();
  }

  #split() {
    const each = Math.floor(100 / this.list.length);
    this.list.forEach((m, i) => { m.share.value = String(i ? each : 100 - each * (this.list.length - 1)); });
    this.#name();
    this.changed();
  }

  #name() {
    const many = this.list.length > 1;
    this.list.forEach((m, i) => {
      m.legend.replaceChildren(many ? `Variant ${letters[i].toUpperCase()}` : "What phones show");
      m.el.className = many ? "message" : "";
      m.shareField.hidden = !many;
      m.drop.hidden = !many;
    });
    this.add.hidden = this.list.length >= letters.length;
  }

  // each lists message and link of each variant.
  each() {
    return this.list.map((m) => {
      const { title: _t, body: _b, image: _i, ...other } = m.rest.notification || {};
      const notification = { ...other };
      for (const name of ["title", "body", "image"]) if (m[name].value.trim()) notification[name] = m[name].value.trim();
      const message = { ...m.rest, notification };
      if (!Object.keys(notification).length) delete message.notification;
      return { message, ...(m.link.value.trim() && { link: m.link.value.trim() }) };
    });
  }

  draft() {
    const all = this.each();
    if (all.length === 1) return all[0];
    return { variants: all.map((v, i) => ({ name: letters[i], share: Number(this.list[i].share.value.replace(",", ".")) / 100, ...v })) };
  }

  faults() {
    const faults = [];
    this.list.forEach((m, i) => {
      const where = this.list.length > 1 ? `Variant ${letters[i].toUpperCase()}: ` : "";
      if (!m.title.value.trim() && !m.body.value.trim()) faults.push(`${where}Write a title or a text.`);
      if (this.list.length > 1 && !(Number(m.share.value.replace(",", ".")) > 0)) faults.push(`${where}The share has to be a number above 0.`);
    });
    return faults;
  }

  // rendered has the texts that the preview made of the templates.
  rendered(payloads) {
    this.shown = payloads.map((p) => p.message?.notification || {});
    this.#paint(this.shown);
  }

  draw() {
    this.shown = null;
    this.#paint(this.list.map((m) => ({ title: m.title.value, body: m.body.value })));
  }

  #paint(all) {
    this.preview.replaceChildren(h("h2", { id: "preview-title" }, "How phones show it"), ...all.map((n, i) => h("div", { class: "card-body" },
      all.length > 1 && h("h3", {}, `Variant ${letters[i].toUpperCase()}`), h("div", { class: "phones" }, shade("android", "Android", n), shade("ios", "iOS", n), shade("web", "Web", n)),
      h("small", {}, `Title ${number([...(n.title || "")].length)}, text ${number([...(n.body || "")].length)} characters`))), h("small", {}, "Cut as on a closed notification: one line of the title, and one line (Android), four (iOS) or three (Web) of the text. Phones differ."));
  }
}

const shade = (kind, name, n) => h("div", { class: `phone ${kind}` }, h("small", {}, name), h("div", { class: "shade" }, h("div", { class: "app" }, "Your app · now"), n.title && said(n.title, "b"), n.body && said(n.body)));
