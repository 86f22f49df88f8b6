// A list of any length of which only what is visible is in the page: rows of
// one height, made once and filled again as one scrolls. It is a listbox: one
// stop for Tab, arrow keys within.
import { h } from "./dom.js";

const overscan = 4;
const tallest = 16_000_000; // pixels; browsers lay out no taller element

export class List {
  #rows = [];
  #pool = [];
  #due = false;
  active = -1;

  // make builds an empty row, fill writes an item into it, open is called for
  // the item chosen, key names an item over changes of the list.
  constructor(box, { height, make, fill, key, open, seen = () => {} }) {
    Object.assign(this, { box, height, make, fill, key, open, seen });
    this.sizer = h("div", { class: "sizer" });
    box.replaceChildren(this.sizer);
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    box.addEventListener("scroll", () => this.draw(), { passive: true, signal });
    box.addEventListener("keydown", (e) => this.#press(e), { signal });
    box.addEventListener("focus", () => this.draw(), { signal });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(box);
  }

  close() {
    this.listeners.abort();
    this.sizes.disconnect();
    this.box.removeAttribute("aria-activedescendant");
    this.box.replaceChildren();
  }

  get rows() { return this.#rows; }

  // set shows other items; the active one stays active where it still is.
  set(rows, activeKey) {
    this.#rows = rows;
    if (activeKey !== undefined) this.activeKey = activeKey;
    this.active = -1;
    this.sizer.style.height = `${Math.min(rows.length * this.height, tallest)}px`;
    this.draw();
  }

  get visible() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height));
    return [first, Math.min(this.#rows.length, first + Math.ceil(this.box.clientHeight / this.height) + 1)];
  }

  // draw fills the rows in sight at the next frame.
  draw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const [first, last] = this.visible;
    const from = Math.max(0, first - overscan), to = Math.min(this.#rows.length, last + overscan);
    while (this.#pool.length < to - from) this.#grow();
    const n = this.#pool.length;
    const used = new Set();
    for (let i = from; i < to; i++) {
      used.add(i % n);
      this.#place(this.#pool[i % n], i);
    }
    this.#pool.forEach((row, slot) => { row.hidden = !used.has(slot); });
    const on = this.#pool.find((row) => !row.hidden && row.getAttribute("aria-selected") === "true");
    if (on) this.box.setAttribute("aria-activedescendant", on.id);
    else this.box.removeAttribute("aria-activedescendant");
    this.seen(this.#rows.slice(first, last));
  }

  #grow() {
    const row = this.make();
    row.id = `row-${this.#pool.length}`;
    row.classList.add("row");
    row.setAttribute("role", "option");
    row.addEventListener("click", () => this.choose(Number(row.dataset.index), true));
    this.#pool.push(row);
    this.sizer.append(row);
  }

  #place(row, i) {
    const item = this.#rows[i];
    row.dataset.index = i;
    row.style.transform = `translateY(${i * this.height}px)`;
    row.setAttribute("aria-setsize", this.#rows.length);
    row.setAttribute("aria-posinset", i + 1);
    const selected = this.key(item) === this.activeKey;
    if (selected) this.active = i;
    row.setAttribute("aria-selected", selected);
    this.fill(row, item, i, this.#rows);
  }

  // choose makes an item the active one; far tells that it is to be opened
  // where list and details do not stand side by side.
  choose(i, far = false) {
    if (this.#rows.length === 0) return;
    this.active = Math.max(0, Math.min(this.#rows.length - 1, i));
    this.activeKey = this.key(this.#rows[this.active]);
    const top = this.active * this.height, bottom = top + this.height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (bottom > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom - this.box.clientHeight;
    this.draw();
    this.open(this.#rows[this.active], far);
  }

  #find() {
    const at = this.#rows[this.active];
    if (at && this.key(at) === this.activeKey) return this.active;
    return this.#rows.findIndex((r) => this.key(r) === this.activeKey);
  }

  #press(e) {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    const leap = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: leap, PageUp: -leap, Home: -Infinity, End: Infinity };
    if (e.key === "Enter" || e.key === " ") this.choose(Math.max(0, this.#find()), true);
    else if (e.key in steps) this.choose(this.#find() + steps[e.key]);
    else return;
    e.preventDefault();
  }
}
