// Desktop notifications of what rings while nobody looks at the page.
import { $, clip, toast } from "./dom.js";
import { text } from "./message.js";

const every = 2000; // milliseconds between two notifications
const setting = "carillon-notify";

export class Notifier {
  #waiting = 0;
  #timer = 0;

  constructor() {
    const b = $("notify");
    b.hidden = !("Notification" in globalThis);
    b.addEventListener("click", () => this.#toggle());
    this.#show(!b.hidden && localStorage.getItem(setting) === "on" && Notification.permission === "granted");
  }

  #show(on) {
    this.on = on;
    $("notify").setAttribute("aria-pressed", String(on));
  }

  async #toggle() {
    if (this.on) {
      localStorage.removeItem(setting);
      this.#show(false);
      return;
    }
    if (await Notification.requestPermission() !== "granted") {
      toast("The browser does not allow notifications of this page.");
      return;
    }
    localStorage.setItem(setting, "on");
    this.#show(true);
  }

  // heard of a message: it is shown if the page is in the background, and those that come
  // within two seconds after it are counted in one.
  heard(m) {
    if (!this.on || !document.hidden) return;
    this.last = m;
    this.#waiting++;
    this.#timer ||= setTimeout(() => {
      const { title, body } = text(this.last.message);
      const more = this.#waiting > 1 ? ` (and ${this.#waiting - 1} more)` : "";
      new Notification(clip(title || "Data only", 100), { body: clip(body, 300) + more, tag: "carillon", icon: "icon.svg" });
      this.#waiting = this.#timer = 0;
    }, this.shown && Date.now() - this.shown < every ? every : 0);
    this.shown = Date.now();
  }
}
