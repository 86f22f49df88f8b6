// The documents of the Firestore emulator: collections, and the documents of one in pages.
import { $, clip, h, number, plural, put, said, toast } from "./dom.js";
import { Database, databases, idsOf, isCollection, isDocument, lastOf, parentOf, splitName } from "./firestore.js";
import { List } from "./list.js";
import { Record, crumbs } from "./record.js";

const page = 50; // documents that are requested together

const collectionOf = (path) => (isDocument(path) ? parentOf(path) : path);

function row() {
  const el = h("div", { class: "entry" });
  el.append(el.id_ = h("b", { dir: "auto" }), el.kind = h("span", { class: "many" }));
  return el;
}

function fill(el, e) {
  el.dataset.path = e.path;
  el.classList.toggle("missing", Boolean(e.missing));
  put(el.id_, clip(e.label, 120));
  put(el.kind, e.kind);
}

const entryOf = (path, kind, more = {}) => ({ path, kind, label: lastOf(path), ...more });

// Data is the view. go changes the address to that of a path; empty shows what stands in the
// place of an empty list.
export class Data {
  #rows = [];
  #next = "";
  #turn = 0; // of the last load: the answers of earlier ones are not shown
  #path = null; // of the collection in the list, "" for the collections of the database
  #text = "";

  constructor({ project, go, empty }) {
    Object.assign(this, { go, empty });
    this.own = `projects/${project}/databases/(default)`;
    this.database = new Database(this.own);
    this.tools = h("div", { class: "tools" });
    this.choice = h("select", { id: "database", onchange: () => this.#choose(this.choice.value) });
  }

  mount(box) {
    this.list = new List(box, { height: 44, key: (e) => e.path, make: row, fill, open: (e, far) => {
      if (far || !isCollection(e.path)) this.go(e.path, far); // arrow keys pass collections by
    } });
    box.setAttribute("aria-label", "Collections and documents");
    $("tools").replaceChildren(this.tools);
    this.#path = null;
    this.#offer();
  }

  unmount() {
    this.#turn++;
    this.list.close();
  }

  // detail shows the list that a path belongs to, and returns the details of the path.
  detail(path) {
    path = idsOf(path).join("/");
    if (collectionOf(path) !== this.#path) {
      this.#path = collectionOf(path);
      this.#text = $("search").value = "";
      this.load();
    }
    if (isDocument(path)) return new Record(path, { database: this.database, back: () => this.go(parentOf(path)), changed: () => this.load() });
    return { el: h("div", { class: "detail" }, this.#about(path)) };
  }

  #about(path) {
    return h("section", { class: "data-about" }, path ? said(lastOf(path), "h2") : h("h2", {}, "Documents of the Firestore emulator"),
      h("p", { class: "note" }, path ? "Choose a document to see its fields, or search for the begin of an id." : "Choose a collection, or search for a document by its path or id."),
      h("p", { class: "note" }, "What this page reads counts in the operations that the emulator bills, and in its requests."));
  }

  // #offer lets choose a database, if there are others than that of this project.
  async #offer() {
    let names = [];
    try {
      names = await databases();
    } catch { /* the list of documents says what is wrong */ }
    const all = [...new Set([this.own, this.database.name, ...names])];
    this.choice.replaceChildren(...all.map((name) => h("option", { value: name }, name.replace(/^projects\/(.*)\/databases\/(.*)$/, "$1, $2"))));
    this.choice.value = this.database.name;
    this.several = all.length > 1;
    this.#draw();
  }

  #choose(name) {
    this.database = new Database(name);
    this.#path = null;
    this.go("");
    if (this.#path === null) this.detail("");
  }

  // search finds documents by a path, by an id, or by the begin of an id.
  search(text) {
    this.#text = text;
    this.load();
  }

  // enter opens the first document or collection that is found for a text.
  async enter(text) {
    this.#text = text;
    await this.load();
    if (this.#rows.length > 0) this.list.choose(0, true);
  }

  async load() {
    const turn = ++this.#turn;
    this.#next = "";
    try {
      const { rows, next } = await this.#read();
      if (turn !== this.#turn) return;
      this.#rows = rows;
      this.#next = next;
    } catch (e) {
      if (turn !== this.#turn) return;
      this.#rows = [];
      toast(`The documents cannot be read: ${e.message}`);
    }
    this.list.box.scrollTop = 0;
    this.#draw();
  }

  // more adds the next page to the list.
  async more() {
    const turn = ++this.#turn;
    try {
      const { rows, next } = await this.#read(this.#next);
      if (turn !== this.#turn) return;
      this.#rows = [...this.#rows, ...rows];
      this.#next = next;
    } catch (e) {
      toast(`More documents cannot be read: ${e.message}`);
    }
    this.#draw();
  }

  // #read returns a page of what the list shows now, and what the next one begins with.
  async #read(next = "") {
    const text = this.#text.trim();
    if (text.includes("/")) return { rows: pathRows(text), next: "" };
    if (this.#path === "") return this.#readCollections(text, next);
    if (text) {
      const found = await this.database.beginning(this.#path, text, page, next);
      return { rows: found.map((d) => this.#entry(d)), next: found.length === page ? found.at(-1).name : "" };
    }
    const { documents, next: following } = await this.database.documents(this.#path, page, next);
    return { rows: documents.map((d) => this.#entry(d)), next: following };
  }

  // #readCollections returns the collections of the database; for a text those with it in
  // their ids, and the documents in any of them that have it as id.
  async #readCollections(text, pageToken) {
    const { ids, next } = await this.database.collections("", pageToken);
    const shown = ids.filter((id) => id.toLowerCase().includes(text.toLowerCase())).map((id) => entryOf(id, "collection"));
    if (!text || ids.length === 0) return { rows: shown, next };
    const found = await this.database.existing(ids.map((id) => `${id}/${text}`), { fieldPaths: ["__name__"] });
    return { rows: [...shown, ...found.map((d) => entryOf(this.database.pathOf(d.name), "document", { label: this.database.pathOf(d.name) }))], next };
  }

  #entry(d) {
    return entryOf(this.database.pathOf(d.name), d.createTime ? "" : "only collections", { missing: !d.createTime });
  }

  #draw() {
    if ($("tools").firstChild !== this.tools) return; // another view is shown
    this.tools.replaceChildren(...(this.several ? [h("label", { class: "labelled", for: "database" }, "Database", this.choice)] : []),
      h("div", { class: "bar" }, crumbs(this.#path || ""), h("button", { type: "button", class: "quiet", id: "reload-list", onclick: () => this.load() }, "Reload")));
    this.list.set(this.#rows);
    put($("list-note"), this.#path ? `${number(this.#rows.length)}${this.#next ? "+" : ""} ${this.#rows.length === 1 ? "document" : "documents"}` : plural(this.#rows.length, "collection"));
    $("fresh").hidden = !this.#next;
    put($("fresh"), this.#path ? `Load ${page} more` : "Load more");
    this.empty(this.#rows.length === 0, this.#text.trim() !== "");
  }
}

// pathRows is the row that opens a path which was typed. It may be the whole name.
function pathRows(text) {
  const path = idsOf(splitName(text.replace(/^\/+/, "")).path).join("/");
  return path ? [entryOf(path, isDocument(path) ? "open this document" : "open this collection", { label: path })] : [];
}
