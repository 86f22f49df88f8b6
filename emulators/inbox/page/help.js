// The list of keys.
import { $, h } from "./dom.js";

const keys = [
  ["/", "search"], ["↑ ↓", "previous and next in the list"], ["Page Up, Page Down, Home, End", "further in the list"], ["Enter", "open"], ["Esc", "back"],
  ["n", "new mailing"], ["1 2 3", "phones, mailings, customers"], ["4 5", "documents and requests of Firestore"], ["?", "this list"],
];

export function openHelp() {
  const dialog = $("help");
  if (!dialog.hasChildNodes()) {
    dialog.append(h("div", { class: "card" }, h("h2", { id: "help-title" }, "Keys"), h("dl", {}, ...keys.flatMap(([key, word]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, word)])),
      h("p", { class: "note" }, "The search finds words, and token:, customer: or mailing: before a word looks there alone."),
      h("div", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close"))));
    dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
  }
  dialog.showModal();
}
