// The settings of all mailings.
import { check, field, h, said, time, toast } from "./dom.js";
import { faultsOf, getWithETag, put } from "./ask.js";
import { devices as words } from "./common/words.js";

const days = { mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday", sat: "Saturday", sun: "Sunday" };

// hoursFields are the fields of hours, and read, which makes a window of them; undefined
// without hours.
export function hoursFields(w, prefix) {
  const on = h("input", { type: "checkbox", id: `${prefix}-on`, checked: Boolean(w) });
  const from = h("input", { type: "time", id: `${prefix}-from`, value: w?.from || "09:00" }), to = h("input", { type: "time", id: `${prefix}-to`, value: w?.to === "24:00" ? "00:00" : w?.to || "21:00" });
  const zone = h("input", { id: `${prefix}-zone`, value: w?.timeZone || "", placeholder: "Europe/Riga", autocomplete: "off" });
  const boxes = Object.entries(days).map(([key, word]) => [key, h("input", { type: "checkbox", checked: !w?.days || w.days.includes(key) }), word]);
  const body = h("div", {}, h("div", { class: "row" }, field("From", from), field("To", to), field("Time zone of customers without one", zone)),
    h("fieldset", {}, h("legend", {}, "Days"), h("div", { class: "choices" }, ...boxes.map(([, box, word]) => check(word, box)))));
  const show = () => { body.hidden = !on.checked; };
  on.addEventListener("change", show);
  show();
  const read = () => {
    if (!on.checked) return undefined;
    const chosen = boxes.filter(([, box]) => box.checked).map(([key]) => key);
    return { from: from.value, to: to.value === "00:00" ? "24:00" : to.value, ...(chosen.length < 7 && { days: chosen }), ...(zone.value.trim() && { timeZone: zone.value.trim() }) };
  };
  return { on, body, read };
}

const choice = (id, value, options) => {
  const el = h("select", { id }, ...Object.entries(options).map(([v, word]) => h("option", { value: v }, word)));
  el.value = value;
  return el;
};

export async function settings(page) {
  let { value: now, etag } = await getWithETag("v1/settings");
  if (page.isGone()) return;
  const devices = choice("set-devices", now.devices, words);
  const muted = choice("set-muted", now.muted || "send", { send: "get mailings", skip: "are left out" });
  const wrong = choice("set-wrong", now.wrongSender || "flag", { flag: "are flagged, and not sent to again", keep: "are counted, and sent to again" });
  const hours = hoursFields(now.window, "set-hours");
  const changed = h("p", { class: "note", id: "changed" }), faults = h("div", { role: "alert" });
  const tell = () => changed.replaceChildren(...(now.changedAt ? ["Changed last ", time(now.changedAt), now.changedBy ? ` by ${now.changedBy}` : ""] : ["Never changed."]));
  tell();

  const save = async (e) => {
    e.preventDefault();
    faults.replaceChildren();
    const window = hours.read();
    try {
      ({ value: now, etag } = await put("v1/settings", { devices: devices.value, muted: muted.value, wrongSender: wrong.value, ...(window && { window }) }, { "If-Match": etag }));
      tell();
      toast("The settings are saved. They hold for mailings that start from now on.");
    } catch (err) {
      const text = err.status === 412 ? ["Somebody else has changed the settings since you opened them. Reload the page."] : faultsOf(err);
      faults.replaceChildren(h("ul", { class: "notice bad faults" }, ...text.map((t) => said(t, "li"))));
    }
  };
  const form = h("form", { class: "card", onsubmit: save, novalidate: true },
    field("Mailings that say nothing of it go to", devices), field("Customers with notifications off on every phone", muted), field("Phones of another Firebase project", wrong),
    h("fieldset", {}, h("legend", {}, "Hours"), check("Send mailings only at certain hours of the customer's own time", hours.on), hours.body), faults,
    h("div", { class: "buttons" }, page.canSend ? h("button", { type: "submit", class: "primary", id: "save" }, "Save the settings") : h("p", { class: "note" }, "You may look at the settings, but not change them.")), changed);
  if (!page.canSend) for (const el of form.querySelectorAll("input, select")) el.disabled = true;
  page.main.append(h("h1", {}, "Settings"), h("p", { class: "note" }, "What holds for every mailing that does not say otherwise."), form);
}
