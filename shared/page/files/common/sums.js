// The sums of a mailing as tables, as GET /v1/mailings/{id} answers them.
import { h, meter, number, percent, plural, said, sum } from "./dom.js";
import { ahead, platformNames } from "./mailing.js";
import { excluded, legend, progress, results } from "./words.js";

// scroll lets a wide table be scrolled, also by the keyboard.
const scroll = (label, ...children) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);

const row = (name, n, of, kind, cls = "") => h("tr", { class: cls, "data-row": name }, h("th", { scope: "row" }, name), h("td", { class: "number" }, number(n)), h("td", { class: "number" }, of === undefined ? "" : percent(n, of)), h("td", {}, of ? meter(n / of, kind) : ""));
const columns = (...names) => h("thead", {}, h("tr", {}, ...names.map((n, i) => h("th", { scope: "col", class: i ? "number" : "" }, n)), h("td", {})));

// funnel shows how many customers and phones each step left, and why.
export function funnel(m) {
  const c = m.customers, t = m.tokens;
  const all = Math.max(c.estimated, c.matched + c.notReached);
  const phones = t.targeted + ahead(m);
  return [h("h2", {}, "From the audience to the phones"), progress(m), legend(), scroll("Funnel", h("table", { id: "funnel" }, h("caption", { class: "unseen" }, "Each step with its share of the step it comes from"),
    columns("Step", "Number", "Share"), h("tbody", {},
      row("Customers in the audience", all, undefined, "", "total"),
      row("Customers it has come to", c.matched, all, "", "total"),
      ...Object.entries(excluded).filter(([k]) => c.excluded[k]).map(([k, word]) => row(word, c.excluded[k], c.matched, "off", "sub")),
      m.completedAt && c.notReached > 0 && row("Never came to", c.notReached, all, "off", "sub"),
      row("Customers it was for", c.targeted, c.matched, "", "total"),
      row("Their phones", t.targeted, undefined, "", "total"),
      row("Accepted for delivery", t.accepted, phones, "", "total"),
      row("Reported as delivered", m.reported?.delivered, t.accepted, "", "sub"),
      row("Reported as opened", m.reported?.opened, t.accepted, "", "total")))),
  h("p", { class: "note" }, "Delivered and opened are what the apps report. Phones whose app does not report are not in them.")];
}

// outcomes shows what became of the phones, in words. open has the ids of the explanations
// that are open.
export function outcomes(m, open = new Set()) {
  const t = m.tokens;
  const all = [["accepted", t.accepted], ...Object.entries(t.invalid || {}), ...["refused", "failed", "expired", "cancelled", "pending"].map((k) => [k, t[k]])].filter(([, n]) => n > 0);
  const line = ([code, n]) => {
    const [word, kind, what] = results[code] || [code, "bad", ""];
    return h("tr", { "data-code": code }, h("th", { scope: "row" }, word, h("details", { id: `code-${code}`, open: open.has(`code-${code}`) }, h("summary", {}, "What this means"), h("p", {}, what), h("p", {}, "Code: ", h("code", {}, code)))),
      h("td", { class: "number" }, number(n)), h("td", { class: "number" }, percent(n, t.targeted)), h("td", {}, meter(n / t.targeted, kind === "good" ? "" : kind || "off")));
  };
  return [h("h2", {}, "What became of the phones"),
    all.length ? scroll("Results", h("table", { id: "results" }, columns("Result", "Phones", "Share"), h("tbody", {}, ...all.map(line)))) : h("p", { class: "note" }, "No phone was chosen yet."),
    sum(m.held) > 0 ? h("p", { class: "notice" }, `${plural(sum(m.held), "phone")} of these wait for evidence before they are flagged.`) : ""];
}

// parts shows the sums by platform, variant and app.
export function parts(m) {
  const table = (name, rows) => (rows.length ? h("table", {}, h("caption", {}, name), h("thead", {}, h("tr", {}, h("td", {}), ...["Phones", "Accepted", "Opened"].map((n) => h("th", { scope: "col", class: "number" }, n)))), h("tbody", {}, rows)) : "");
  const cells = (name, x, opened) => h("tr", {}, said(name, "th", { scope: "row" }), h("td", { class: "number" }, number(x.targeted)), h("td", { class: "number" }, `${number(x.accepted)} (${percent(x.accepted, x.targeted)})`), h("td", { class: "number" }, opened === undefined ? "–" : `${number(opened)} (${percent(opened, x.accepted)})`));
  const byPlatform = Object.entries(m.platforms || {}).filter(([, p]) => p.targeted).map(([name, p]) => cells(platformNames[name] || name, p));
  const byApp = Object.entries(m.apps || {}).filter(([, a]) => a.targeted).map(([name, a]) => cells(name === "unknown" ? "Without a name" : name, a));
  const byVariant = Object.entries(m.variants || {}).map(([name, v]) => cells(name, v, v.opened));
  return [h("h2", {}, "By platform, variant and app"), byPlatform.length + byVariant.length ? scroll("By platform and variant", table("Platform", byPlatform), table("Variant", byVariant), byApp.length > 1 ? table("App", byApp) : "") : h("p", { class: "note" }, "No phone was chosen yet.")];
}
