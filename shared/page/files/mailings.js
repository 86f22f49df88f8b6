// The list of mailings, in pages.
import { clip, h, number, percent, said, sum, time } from "./dom.js";
import { get } from "./ask.js";
import { chip, states, titleOf } from "./common/words.js";

const size = 50;

export async function mailings(page) {
  const state = page.query.get("state") || "", tag = page.query.get("tag") || "", token = page.query.get("page") || "";
  const params = new URLSearchParams({ pageSize: size });
  if (state) params.set("state", state);
  if (tag) params.set("tag", tag);
  if (token) params.set("pageToken", token);
  const { mailings: list, nextPageToken } = await get(`v1/mailings?${params}`);
  if (page.isGone()) return;

  const go = (change) => {
    const next = new URLSearchParams();
    for (const [k, v] of Object.entries({ state: byState.value, tag: byTag.value.trim(), ...change })) if (v) next.set(k, v);
    location.hash = `#/mailings${next.size ? `?${next}` : ""}`;
  };
  const byState = h("select", { id: "by-state", onchange: () => go({}) }, h("option", { value: "" }, "all"), ...Object.entries(states).map(([value, [word]]) => h("option", { value }, word)));
  byState.value = state;
  const byTag = h("input", { id: "by-tag", value: tag, autocomplete: "off", maxlength: 50, onchange: () => go({}) });

  page.main.append(
    h("div", { class: "head" }, h("h1", {}, "Mailings"), page.canSend && h("a", { class: "button", href: "#/compose" }, "Compose a mailing")),
    h("div", { class: "row" }, h("div", { class: "field" }, h("label", { for: "by-state" }, "State"), byState), h("div", { class: "field" }, h("label", { for: "by-tag" }, "Tag"), byTag)),
    h("div", { class: "card" }, list.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Mailings" }, table(list)) : h("p", { class: "note" }, "No mailing here."),
      h("div", { class: "buttons" }, token && h("button", { type: "button", onclick: () => go({}) }, "Newest"), nextPageToken && h("button", { type: "button", id: "older", onclick: () => go({ page: nextPageToken }) }, "Older"))));
}

function table(list) {
  return h("table", { class: "list" }, h("caption", { class: "unseen" }, "Mailings, the newest first"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Mailing"), h("th", { scope: "col" }, "State"), h("th", { scope: "col" }, "When"), h("th", { scope: "col", class: "number" }, "Accepted"), h("th", { scope: "col", class: "number" }, "Not possible"))),
    h("tbody", {}, ...list.map(line)));
}

function line(m) {
  const t = m.tokens;
  const bad = t ? sum(t.invalid) + t.refused + t.failed : 0;
  return h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `#/mailings/${encodeURIComponent(m.id)}`, dir: "auto" }, clip(titleOf(m))), h("br"),
      h("small", {}, [m.dryRun && "dry run", m.name && m.title && m.name !== m.title && clip(m.title, 60), (m.tags || []).join(", "), m.createdBy && `by ${m.createdBy}`].filter(Boolean).join(" · "))),
    h("td", {}, chip(m)), h("td", {}, time(m.startedAt || m.sendAt || m.createdAt)),
    h("td", { class: "number" }, t ? `${number(t.accepted)} (${percent(t.accepted, t.targeted + (m.customers?.notReached || 0))})` : "–"),
    h("td", { class: "number" }, t ? number(bad) : "–"));
}
