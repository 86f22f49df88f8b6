// One document of Firestore: its fields, its collections, and a form to change it.
import { clip, copier, h, moment, said, toast, twice } from "./dom.js";
import { idsOf, isConflict, lastOf } from "./firestore.js";
import { fieldsOf, formatted } from "./values.js";

export const linkTo = (path) => `#data/${encodeURIComponent(path)}`;

// crumbs links what a path leads through.
export function crumbs(path) {
  const ids = idsOf(path);
  return h("nav", { class: "crumbs", "aria-label": "Path" }, h("a", { href: "#data" }, "All collections"),
    ...ids.flatMap((id, i) => [" / ", h("a", { href: linkTo(ids.slice(0, i + 1).join("/")), "aria-current": i === ids.length - 1 ? "page" : undefined }, said(clip(id, 60)))]));
}

// A Record shows a document. changed is called after it was deleted or saved.
export class Record {
  constructor(path, { database, back, changed }) {
    Object.assign(this, { path, database, back, changed });
    this.el = h("div", { class: "detail record" }, h("p", { class: "note" }, "…"));
    this.load();
  }

  async load() {
    this.found = null;
    let fault = "";
    try {
      this.found = await this.database.get(this.path);
    } catch (e) {
      fault = e.message;
    }
    this.draw(fault);
  }

  draw(fault = "") {
    this.body = h("section", { class: "record-body" });
    this.below = h("section", {});
    this.el.replaceChildren(this.#head(), this.body, this.below);
    if (fault) this.body.append(h("p", { class: "notice bad" }, h("b", {}, "The document cannot be read."), said(fault, "small")));
    else if (!this.found) this.body.append(h("p", { class: "notice" }, "There is no document at this path. It may have collections."));
    else this.#fields();
    this.#collections();
  }

  #head() {
    const d = this.found;
    const times = d && h("p", { class: "note" }, `changed ${moment(Date.parse(d.updateTime))}, created ${moment(Date.parse(d.createTime))}`);
    return h("header", { class: "detail-head" },
      h("button", { type: "button", class: "back", onclick: this.back }, "Back"),
      h("div", { class: "who" }, said(lastOf(this.path), "h2")),
      h("p", { class: "address" }, said(this.path, "code"), copier(this.path, "Copy the path")), times,
      h("div", { class: "buttons" },
        d && h("button", { type: "button", class: "quiet", id: "edit", onclick: () => this.#edit() }, "Edit"),
        d && twice(h("button", { type: "button", class: "quiet", id: "delete" }, "Delete"), "Delete", () => "Delete it for good?", () => this.#remove()),
        h("button", { type: "button", class: "quiet", id: "reload", onclick: () => this.load() }, "Load again")));
  }

  #fields() {
    const entries = Object.entries(this.found.fields || {});
    this.body.append(h("h3", {}, "Fields"), entries.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Fields" }, fieldsOf(entries, this.database.name))
      : h("p", { class: "note" }, "The document has no fields."));
  }

  async #collections() {
    try {
      const { ids, next } = await this.database.collections(this.path);
      if (ids.length === 0) return;
      this.below.replaceChildren(h("h3", {}, "Collections below it"), h("ul", { class: "plain" }, ...ids.map((id) => h("li", {}, h("a", { href: linkTo(`${this.path}/${id}`) }, said(id))))),
        next && h("p", { class: "note" }, "It has more than these 300."));
    } catch (e) {
      toast(`The collections of the document cannot be read: ${e.message}`);
    }
  }

  // #edit shows the fields as JSON. What is saved replaces the version that was shown here.
  #edit() {
    const version = this.found.updateTime;
    const input = h("textarea", { id: "document-json", rows: 18, spellcheck: "false", value: formatted(this.found.fields) });
    const faults = h("div", { class: "faults", role: "alert" });
    const save = h("button", { type: "submit", class: "primary" }, "Save");
    const form = h("form", { class: "editor", onsubmit: async (e) => {
      e.preventDefault();
      save.disabled = true;
      faults.replaceChildren(...await this.#save(input.value, version));
      save.disabled = false;
    } }, h("div", { class: "field" }, h("label", { for: "document-json" }, "The whole document as JSON, in Firestore's REST form"), input), faults,
    h("div", { class: "buttons" }, save, h("button", { type: "button", class: "quiet", onclick: () => this.draw() }, "Do not save")));
    this.body.replaceChildren(form);
    input.setSelectionRange(0, 0);
    input.focus();
    input.scrollTop = 0; // focus scrolls to the end of a text that was just set
  }

  // #save writes the document, and returns what is wrong, as elements.
  async #save(json, version) {
    const fault = faultOf(json);
    if (fault) return [said(fault, "p")];
    try {
      this.found = await this.database.save(this.path, json, version);
    } catch (e) {
      return isConflict(e) ? this.#conflict("saved") : [said(e.message, "p")];
    }
    toast("The document is saved.");
    this.draw();
    this.changed();
    return [];
  }

  #conflict(what) {
    return [h("p", { id: "conflict" }, `Somebody else changed or deleted the document after it was shown here. Nothing was ${what}.`),
      h("button", { type: "button", class: "quiet", onclick: () => this.load() }, "Show what is there now")];
  }

  async #remove() {
    try {
      await this.database.remove(this.path, this.found.updateTime);
    } catch (e) {
      this.body.prepend(h("div", { class: "faults", role: "alert" }, ...(isConflict(e) ? this.#conflict("deleted") : [said(e.message, "p")])));
      return;
    }
    toast("The document is deleted. Collections below it stay.");
    this.found = null;
    this.draw();
    this.changed();
  }
}

// faultOf says why a text is no document, "" if it is one. It may still have faults that only
// Firestore finds.
function faultOf(json) {
  let value;
  try {
    value = JSON.parse(json);
  } catch (e) {
    return `This is no JSON: ${e.message}`;
  }
  const fields = value?.fields;
  return fields && typeof fields === "object" && !Array.isArray(fields) ? "" : "“fields” is missing: an object with the fields of the document.";
}
