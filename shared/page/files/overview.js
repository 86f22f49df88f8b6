// What runs, whom push reaches, and what needs attention.
import { clip, day, h, number, percent, plural, said, time } from "./dom.js";
import { get, mailingPath } from "./ask.js";
import { chip, left, legend, paused, progress, reached, titleOf } from "./common/words.js";
import { line } from "./chart.js";

const again = 4000; // milliseconds between two looks at what runs
const drop = 0.05; // of the reachable share within a week: worth a word

const list = async (state, most) => (await get(`v1/mailings?state=${state}&pageSize=${most}`)).mailings;
const link = (m) => h("a", { href: `#/mailings/${encodeURIComponent(m.id)}`, dir: "auto" }, clip(titleOf(m)));

export async function overview(page) {
  const attention = h("div", { class: "card" }), running = h("div", { class: "card" }), reach = h("div", { class: "card" });
  page.main.append(h("h1", {}, "Overview"), h("div", { class: "columns" }, running, attention), reach);

  const [stats, marks] = await Promise.all([get("v1/stats"), recent()]);
  if (page.isGone()) return;
  drawReach(page, reach, stats.days, marks);
  const look = async () => {
    const now = await under();
    if (page.isGone()) return;
    drawRunning(running, now);
    drawAttention(attention, now, stats.days);
  };
  await look();
  const timer = setInterval(() => { if (!document.hidden) look().catch(() => { /* the next look tells */ }); }, again);
  page.onLeave(() => clearInterval(timer));
}

// under lists what is under way, with its sums, what is paused, and what comes.
async function under() {
  const [sending, accepted, halted, scheduled, refused] = await Promise.all([list("sending", 10), list("accepted", 5), list("paused", 20), list("scheduled", 5), list("refused", 5)]);
  const open = await Promise.all([...sending, ...accepted].slice(0, 10).map((m) => get(mailingPath(m.id)).then((full) => ({ ...m, ...full }), () => m)));
  return { open, halted, scheduled, refused };
}

// recent lists the mailings of the last 90 days, at most 500, for the chart.
async function recent() {
  const since = Date.now() - 90 * 86400e3;
  const { mailings } = await get("v1/mailings?pageSize=500");
  return mailings.filter((m) => m.startedAt && !m.dryRun && Date.parse(m.startedAt) > since);
}

function drawRunning(el, { open, scheduled }) {
  el.replaceChildren(h("h2", {}, "Under way"),
    open.length ? h("div", {}, ...open.map((m) => h("div", { class: "running" },
      h("div", { class: "head" }, h("b", {}, link(m)), chip(m)), m.tokens && progress(m),
      h("p", { class: "note" }, [reached(m), m.ratePerMinute ? `${number(m.ratePerMinute)} a minute` : "as fast as the quota allows", left(m)].filter(Boolean).join(" · "))))) :
      h("p", { class: "note" }, "No mailing is being sent."),
    open.length ? legend() : "",
    scheduled.length ? h("div", {}, h("h3", {}, "Next"), h("ul", {}, ...scheduled.map((m) => h("li", {}, link(m), " ", h("span", { class: "note" }, time(m.sendAt)))))) : "");
}

function drawAttention(el, { halted, refused }, days) {
  const items = halted.map((m) => {
    const [why, what] = paused[m.pausedReason] || ["It is paused.", "Look at it."];
    return h("li", { class: "notice" }, h("b", {}, link(m)), h("span", {}, why), h("span", {}, what));
  });
  const week = Date.now() - 7 * 86400e3;
  for (const m of refused.filter((r) => Date.parse(r.createdAt) > week)) {
    items.push(h("li", { class: "notice bad" }, h("b", {}, link(m)), h("span", {}, "FCM refused its message. Nobody got it. Compose it anew.")));
  }
  const last = days.at(-1), before = days.at(-8);
  const share = (d) => (d?.customers ? d.reachable / d.customers : 0);
  if (last && Date.now() - Date.parse(last.countedAt) > 2 * 86400e3) {
    items.push(h("li", { class: "notice" }, h("b", {}, "Nobody has counted the customers for two days"), h("span", {}, "Tell the people who run Carillon: the function tick does not finish its work.")));
  }
  if (before && share(before) - share(last) > drop) {
    items.push(h("li", { class: "notice bad" }, h("b", {}, "Push reaches far fewer customers than a week ago"), h("span", {}, `${percent(share(last), 1)} now, ${percent(share(before), 1)} on ${day(before.day)}.`)));
  }
  el.replaceChildren(h("h2", {}, "Needs attention"), items.length ? h("ul", { class: "attention" }, ...items) : h("p", { class: "notice good" }, "Nothing. No mailing is paused."));
}

function drawReach(page, el, days, marks) {
  const last = days.at(-1);
  el.append(h("h2", {}, "Customers whom push reaches, last 90 days"));
  if (!last) {
    el.append(h("p", { class: "note" }, "Nothing was counted yet. Customers are counted once a day."));
    return;
  }
  el.append(h("div", { class: "figures" },
    h("p", {}, h("span", { class: "big" }, percent(last.reachable, last.customers)), h("br"), h("span", { class: "note" }, `${number(last.reachable)} of ${plural(last.customers, "customer")}, ${day(last.day)}`)),
    h("p", {}, h("span", { class: "big" }, number(last.optedOut)), h("br"), h("span", { class: "note" }, "want no pushes")),
    ...["android", "ios", "web"].map((p) => h("p", {}, h("span", { class: "big" }, number(last.platforms?.[p])), h("br"), h("span", { class: "note" }, { android: "with Android", ios: "with iOS", web: "with a browser" }[p])))));

  const chart = h("div", { class: "chart", "aria-hidden": "true" });
  const rows = days.toReversed().slice(0, 90).map((d) => h("tr", {}, h("th", { scope: "row" }, day(d.day)), h("td", { class: "number" }, percent(d.reachable, d.customers)), h("td", { class: "number" }, number(d.reachable)), h("td", { class: "number" }, number(d.customers))));
  el.append(chart, h("p", { class: "note" }, `The line is the share of all customers who have a valid token. A dashed line is a mailing; there were ${number(marks.length)}.`),
    h("details", {}, h("summary", {}, "The numbers as a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Days" }, h("table", {}, h("thead", {}, h("tr", {}, ...["Day", "Share", "Reachable", "Customers"].map((t, i) => h("th", { scope: "col", class: i ? "number" : "" }, t)))), h("tbody", {}, rows)))));
  const plot = line(chart, {
    label: "reachable", unit: " %", times: days.map((d) => Date.parse(d.day) / 1000), values: days.map((d) => (d.customers ? (100 * d.reachable) / d.customers : null)),
    marks: marks.map((m) => Date.parse(m.startedAt) / 1000), range: () => [0, 100], days: true,
  });
  page.onLeave(() => plot.end());
}
