// The dialog that asks before something happens.
import { $, h } from "./dom.js";

// confirmed asks, and resolves to whether the person agreed. With type the person has to
// type that text first. Esc is no.
export function confirmed({ title, text = [], label, danger = false, type = "", typeLabel = "" }) {
  const dialog = $("dialog");
  return new Promise((done) => {
    const yes = h("button", { type: "button", class: danger ? "danger" : "primary", id: "dialog-yes", disabled: Boolean(type) }, label);
    const typed = type && h("input", { id: "dialog-type", autocomplete: "off", spellcheck: "false" });
    const no = h("button", { type: "button", id: "dialog-no" }, "Go back");
    dialog.replaceChildren(h("div", {},
      h("h2", { id: "dialog-title" }, title), ...text.map((t) => h("p", { dir: "auto" }, t)),
      typed && h("div", { class: "field" }, h("label", { for: "dialog-type" }, typeLabel), typed),
      h("div", { class: "buttons" }, no, yes)));

    let answer = false;
    const agree = () => { answer = true; dialog.close(); };
    if (typed) {
      const right = () => typed.value.replace(/[\s,.']/g, "") === type.replace(/[\s,.']/g, "");
      typed.addEventListener("input", () => { yes.disabled = !right(); });
      typed.addEventListener("keydown", (e) => { if (e.key === "Enter" && right()) { e.preventDefault(); agree(); } });
    }
    yes.addEventListener("click", agree);
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => done(answer), { once: true });
    dialog.showModal();
    (typed || no).focus();
  });
}
