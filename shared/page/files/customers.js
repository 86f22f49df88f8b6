// One customer: whether push reaches them and why, and what they got.
import { clip, field, h, number, said, sum, time, toast } from "./dom.js";
import { customerPath, erase, get } from "./ask.js";
import { platformNames } from "./common/mailing.js";
import { availability, chip, evidence, excluded, results, titleOf } from "./common/words.js";
import { confirmed } from "./dialog.js";

export async function customers(page) {
  const input = h("input", { id: "customer", value: page.id, autocomplete: "off", spellcheck: "false", maxlength: 512 });
  const find = (e) => {
    e.preventDefault();
    if (input.value.trim()) location.hash = `#/customers/${encodeURIComponent(input.value.trim())}`;
  };
  const out = h("div", { class: "found" });
  page.main.append(h("h1", {}, "Customers"), h("form", { class: "card", role: "search", onsubmit: find },
    h("div", { class: "find" }, field("Id of the customer", input, "As your own systems have it."), h("button", { type: "submit", class: "primary" }, "Find"))), out);
  if (!page.id) {
    input.focus();
    return;
  }

  try {
    const [c, messages] = await Promise.all([get(customerPath(page.id)), get(customerPath(page.id, "/messages"))]);
    if (!page.isGone()) out.replaceChildren(...sheet(page, c, messages));
  } catch (e) {
    if (e.status !== 404) throw e;
    out.replaceChildren(h("p", { class: "notice", role: "alert" }, h("b", {}, "There is no such customer."), "No app has registered a phone with this id, and nobody imported it; or the customer was erased."));
  }
}

function sheet(page, c, messages) {
  const [word, kind] = availability[c.availability.state] || [c.availability.state, ""];
  return [
    h("div", { class: "card", id: "why" }, h("div", { class: "head" }, said(c.id, "h2"), page.canSend && h("button", { type: "button", id: "erase", class: "danger", onclick: () => remove(c) }, "Erase the customer")),
      h("p", { class: `notice ${kind === "warn" ? "" : kind}` }, h("b", {}, word), evidence[c.availability.evidence] || c.availability.evidence, h("small", {}, "Since ", time(c.availability.since))),
      c.optedOut && h("p", { class: "notice bad" }, h("b", {}, "Wants no pushes."), "No mailing goes to this customer, whatever phones there are."),
      ...Object.entries(c.categories).filter(([, on]) => on === false).map(([name]) => h("p", { class: "notice" }, h("span", {}, "Unsubscribed from the category ", said(name, "b"), "."))),
      phones(c.tokens)),
    h("div", { class: "columns" }, got(page, c, messages), h("div", { class: "card" }, h("h2", {}, "What is known"), h("dl", { class: "facts" },
      h("dt", {}, "Segments"), said(c.segments.join(", ") || "none", "dd"), h("dt", {}, "Time zone"), said(c.timeZone || "not known", "dd"),
      ...Object.entries(c.attributes).flatMap(([k, v]) => [said(k, "dt"), said(typeof v === "string" ? v : JSON.stringify(v), "dd")])))),
  ];
}

function phones(tokens) {
  if (!tokens.length) return h("p", { class: "note" }, "No phone is registered.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Phones" }, h("table", { id: "phones" }, h("caption", {}, "Phones and browsers"),
    h("thead", {}, h("tr", {}, ...["Platform", "App", "State", "Last seen"].map((n) => h("th", { scope: "col" }, n)))),
    h("tbody", {}, ...tokens.map((t) => h("tr", {}, h("th", { scope: "row" }, platformNames[t.platform] || "Unknown"), said(t.app || "–", "td"), h("td", {}, state(t)), h("td", {}, time(t.seenAt || t.lastSeen || t.registeredAt)))))));
}

function state(t) {
  if (t.valid) return h("span", {}, h("span", { class: "chip good" }, "Valid"), t.notifications === "off" ? " notifications are off" : "");
  const [word] = results[t.invalid?.code] || ["Not valid"];
  return h("span", {}, h("span", { class: "chip bad" }, "Not valid"), ` ${word}`, t.invalid && h("details", {}, h("summary", {}, "Code"), h("code", {}, t.invalid.code || ""), " ", time(t.invalid.at), t.invalid.mailing && h("span", {}, " by ", h("a", { href: `#/mailings/${encodeURIComponent(t.invalid.mailing)}` }, "this mailing"))));
}

// got is the list of what was sent, which loads more at a click.
function got(page, c, first) {
  const rows = h("tbody", {});
  const more = h("button", { type: "button" }, "Older");
  const card = h("div", { class: "card" }, h("h2", {}, "What was sent, and what became of it"), h("p", { class: "note" }, "As long as it is kept: 30 days longer than a mailing lasts."));
  const none = h("p", { class: "note" }, "Nothing was sent to this customer.");
  let next = "";
  const add = (answer) => {
    rows.append(...answer.messages.map((m) => entry(m)));
    next = answer.nextPageToken;
    more.hidden = !next;
    none.hidden = rows.children.length > 0;
  };
  more.addEventListener("click", async () => {
    try {
      add(await get(customerPath(c.id, `/messages?pageToken=${encodeURIComponent(next)}`)));
    } catch (e) {
      toast(e.message);
    }
  });
  add(first);
  card.append(none, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Messages" }, h("table", { id: "messages" }, h("thead", {}, h("tr", {}, ...["Message", "When", "Result"].map((n) => h("th", { scope: "col" }, n)))), rows)), more);
  return card;
}

function entry(m) {
  const name = clip(titleOf(m));
  const what = m.excluded ? [h("span", {}, "Left out: ", (excluded[m.excluded] || m.excluded).toLowerCase())] : m.tokens.length ? m.tokens.map((t) => {
    const [word, kind] = results[t.code] || results[t.result] || [t.result, ""];
    return h("div", {}, h("span", { class: `chip ${kind === "off" ? "" : kind}` }, word), ` ${platformNames[t.platform] || ""}`, t.opened ? h("span", {}, ", opened ", time(t.opened)) : "");
  }) : ["–"];
  return h("tr", {}, h("th", { scope: "row" }, m.mailing ? h("a", { href: `#/mailings/${encodeURIComponent(m.mailing)}`, dir: "auto" }, name) : said(name), m.dryRun ? h("small", {}, " dry run") : m.message ? h("small", {}, " to this customer alone") : ""), h("td", {}, time(m.startedAt || m.createdAt)), h("td", {}, ...what));
}

async function remove(c) {
  const agreed = await confirmed({
    title: "Erase this customer?", danger: true, label: "Erase for good", type: c.id, typeLabel: `Type ${c.id} to erase this customer`,
    text: ["The phones, segments, attributes and the history of this customer are deleted, and this cannot be undone. If the customer wants no pushes, that wish is kept."],
  });
  if (!agreed) return;
  try {
    await erase(customerPath(c.id));
    toast("The customer is erased.");
    location.hash = "#/customers";
  } catch (e) {
    toast(`Not erased: ${e.message}`);
  }
}
