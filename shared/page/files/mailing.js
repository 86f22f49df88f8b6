// One mailing: what became of everybody, and what can be done.
import { $, clip, duration, h, meter, number, percent, plural, said, sum, time, toast } from "./dom.js";
import { get, mailingPath, post } from "./ask.js";
import { ahead, final, platformNames } from "./common/mailing.js";
import { chip, excluded, left, legend, paused, progress, reached, results, titleOf } from "./words.js";
import { confirmed } from "./dialog.js";
import { line } from "./chart.js";

const again = 2000; // milliseconds between two looks at a mailing that runs

export async function mailing(page) {
  const sheet = { page, m: await get(mailingPath(page.id)), rates: { times: [], values: [] } };
  if (page.isGone()) return;
  const parts = ["top", "actions", "funnel", "rate", "results", "split", "facts"];
  for (const p of parts) sheet[p] = h("div", { class: { top: "title", actions: "actions" }[p] || "card" });
  page.main.append(sheet.top, sheet.actions, sheet.funnel, sheet.rate, h("div", { class: "columns" }, sheet.results, sheet.split), sheet.facts);
  sheet.rate.hidden = true;
  draw(sheet);

  let running = true;
  const tick = async () => {
    if (!running) return;
    if (!document.hidden && !done(sheet.m)) await refresh(sheet).catch(() => { /* the next look tells */ });
    if (running) timer = setTimeout(tick, again);
  };
  let timer = setTimeout(tick, again);
  page.onLeave(() => {
    running = false;
    clearTimeout(timer);
    sheet.plot?.end();
  });
}

const done = (m) => m.completedAt && m.unflag?.state !== "running";

async function refresh(sheet) {
  const m = await get(mailingPath(sheet.page.id));
  if (sheet.page.isGone()) return;
  const same = JSON.stringify(m) === JSON.stringify(sheet.m);
  measure(sheet, m);
  if (!same) {
    sheet.m = m;
    draw(sheet);
  }
}

// measure adds a point to the chart of the rate. Only what is seen is known.
function measure(sheet, m) {
  const now = Date.now() / 1000, answered = m.tokens.targeted - m.tokens.pending;
  if (sheet.seen && now > sheet.seen.at) {
    sheet.rates.times.push(now);
    sheet.rates.values.push(m.state === "paused" ? null : Math.max(0, Math.round(((answered - sheet.seen.answered) / (now - sheet.seen.at)) * 60)));
  }
  sheet.seen = { at: now, answered };
  if (sheet.rates.times.length < 2) return;
  if (!sheet.plot) {
    const chart = h("div", { class: "chart", "aria-hidden": "true" });
    sheet.rate.hidden = false;
    sheet.rate.replaceChildren(h("h2", {}, "Answers of FCM a minute, since this page was opened"), chart, h("p", { class: "note" }, "A gap is a pause."));
    sheet.plot = line(chart, { label: "a minute", ...sheet.rates, tall: 180 });
  } else sheet.plot.update(sheet.rates.times, sheet.rates.values);
}

function draw(sheet) {
  const { m } = sheet;
  drawTop(sheet, m);
  drawActions(sheet, m);
  drawFunnel(sheet.funnel, m);
  drawResults(sheet.results, m);
  drawSplit(sheet.split, m);
  drawFacts(sheet.facts, m);
}

function drawTop(sheet, m) {
  const [why, what] = (m.state === "paused" && paused[m.pausedReason]) || [];
  if (!sheet.title) {
    sheet.title = said(clip(titleOf(m), 200), "h1");
    sheet.state = h("div", { class: "head", role: "status" });
    sheet.notes = h("div", {});
    sheet.top.append(sheet.title, sheet.state, sheet.notes);
  }
  const words = [reached(m), left(m), m.dryRun && "dry run: no phone shows it"].filter(Boolean).join(" · ");
  if (sheet.state.dataset.words !== m.state + words) {
    sheet.state.dataset.words = m.state + words;
    sheet.state.replaceChildren(h("span", {}, chip(m), " ", h("span", { id: "reached" }, words)));
  }
  sheet.notes.replaceChildren(...[
    why && h("p", { class: "notice" }, h("b", {}, why), what, m.pausedDetail && said(m.pausedDetail, "small")),
    m.refusal && h("p", { class: "notice bad" }, h("b", {}, "FCM refused the message. Nobody got it."), said(m.refusal, "small")),
    m.unflag && h("p", { class: "notice", id: "unflagged" }, m.unflag.state === "running" ? `Flags are being undone: ${number(m.unflag.unflagged)} so far.` : `${plural(m.unflag.unflagged, "flag")} undone: these phones count as valid again.`),
    m.missingAttribute > 0 && h("p", { class: "notice" }, `${plural(m.missingAttribute, "message")} named an attribute that the customer does not have.`),
  ].filter(Boolean));
}

// Consequences of each action, asked before it is done.
const actions = {
  pause: { label: "Pause", title: "Pause this mailing?", text: () => ["Within seconds nothing more is sent. What FCM has already taken still arrives.", "You can resume it until its lifetime ends."] },
  resume: { label: "Resume", title: "Resume this mailing?", text: (m) => [`It goes on at once, to about ${number(m.tokens.pending + ahead(m))} more phones.`] },
  cancel: { label: "Cancel the mailing", title: "Cancel this mailing for good?", danger: true, text: (m) => [`About ${number(m.tokens.pending + ahead(m))} phones will not get it. ${number(m.tokens.accepted)} were accepted already, and cannot be taken back.`, "A cancelled mailing cannot be resumed."] },
  unflag: { label: "Undo its flags", title: "Undo the flags of this mailing?", danger: true, text: (m) => [`${plural(sum(m.tokens.invalid), "token")} that this mailing found invalid will count as valid again, and later mailings are sent to them.`, "Do this only if FCM's answers were wrong, for example after a mistake in the app's project."] },
};

const allowed = (m) => [
  ["accepted", "sending", "scheduled"].includes(m.state) && "pause", m.state === "paused" && "resume", !final.has(m.state) && "cancel",
  sum(m.tokens.invalid) > 0 && m.unflag?.state !== "running" && "unflag",
].filter(Boolean);

function drawActions(sheet, m) {
  const may = sheet.page.canSend ? allowed(m) : [];
  const key = may.join();
  if (sheet.actions.dataset.key === key) return;
  const focused = sheet.actions.contains(document.activeElement) || document.activeElement === document.body;
  const first = sheet.actions.dataset.key === undefined;
  sheet.actions.dataset.key = key;
  sheet.actions.replaceChildren(h("div", { class: "buttons" },
    ...may.map((name) => h("button", { type: "button", id: `do-${name}`, class: name === "resume" ? "primary" : actions[name].danger ? "danger" : "", onclick: () => act(sheet, name) }, actions[name].label)),
    h("a", { class: "button", id: "recipients", href: mailingPath(m.id, "/recipients"), download: "" }, "Download the recipients"),
    sheet.page.canSend && h("a", { class: "button", href: `#/compose?from=${encodeURIComponent(m.id)}` }, "Compose one like it")));
  if (focused && !first) (sheet.actions.querySelector("button, a") || sheet.page.main).focus();
}

async function act(sheet, name) {
  const a = actions[name];
  const label = { pause: "Pause it", resume: "Resume it", cancel: "Cancel it for good", unflag: "Undo the flags" }[name];
  if (!await confirmed({ title: a.title, text: a.text(sheet.m), label, danger: a.danger })) return;
  try {
    await post(mailingPath(sheet.m.id, `/${name}`));
    toast({ pause: "The mailing is paused.", resume: "The mailing goes on.", cancel: "The mailing is cancelled.", unflag: "The flags are being undone." }[name]);
  } catch (e) {
    toast(`${a.label}: ${e.message}`);
  }
  await refresh(sheet).catch(() => { /* the next look tells */ });
}

const row = (name, n, of, kind, cls = "") => h("tr", { class: cls, "data-row": name }, h("th", { scope: "row" }, name), h("td", { class: "number" }, number(n)), h("td", { class: "number" }, of === undefined ? "" : percent(n, of)), h("td", {}, of ? meter(n / of, kind) : ""));
const columns = (...names) => h("thead", {}, h("tr", {}, ...names.map((n, i) => h("th", { scope: "col", class: i ? "number" : "" }, n)), h("td", {})));

function drawFunnel(el, m) {
  const c = m.customers, t = m.tokens;
  const all = Math.max(c.estimated, c.matched + c.notReached);
  const phones = t.targeted + ahead(m);
  el.replaceChildren(h("h2", {}, "From the audience to the phones"), progress(m), legend(), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Funnel" }, h("table", { id: "funnel" }, h("caption", { class: "unseen" }, "Each step with its share of the step it comes from"),
    columns("Step", "Number", "Share"), h("tbody", {},
      row("Customers in the audience", all, undefined, "", "total"),
      row("Customers it has come to", c.matched, all, "", "total"),
      ...Object.entries(excluded).filter(([k]) => c.excluded[k]).map(([k, word]) => row(word, c.excluded[k], c.matched, "off", "sub")),
      m.completedAt && c.notReached > 0 && row("Never came to", c.notReached, all, "off", "sub"),
      row("Customers it was for", c.targeted, c.matched, "", "total"),
      row("Their phones", t.targeted, undefined, "", "total"),
      row("Accepted for delivery", t.accepted, phones, "", "total"),
      row("Reported as delivered", m.reported.delivered, t.accepted, "", "sub"),
      row("Reported as opened", m.reported.opened, t.accepted, "", "total")))),
    h("p", { class: "note" }, "Delivered and opened are what the apps report. Phones whose app does not report are not in them."), m.fcmReport ? google(m.fcmReport) : "");
}

// google is what Google reports of the Android phones that share usage data.
const google = (r) => h("p", { class: "note", id: "google" }, `Google reports of ${plural(r.accepted, "Android phone")} that share usage data: ${number(r.delivered)} delivered (${percent(r.delivered, r.accepted)}), ${number(r.pending)} still held, ${number(r.dropped)} dropped${r.shared ? "; other mailings of the day are in these numbers, too" : ""}. As of `, time(r.asOf), ".");

function drawResults(el, m) {
  const open = new Set([...el.querySelectorAll("details[open]")].map((d) => d.id));
  const t = m.tokens;
  const all = [["accepted", t.accepted], ...Object.entries(t.invalid || {}), ...["refused", "failed", "expired", "cancelled", "pending"].map((k) => [k, t[k]])].filter(([, n]) => n > 0);
  el.replaceChildren(h("h2", {}, "What became of the phones"), all.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results" }, h("table", { id: "results" }, columns("Result", "Phones", "Share"), h("tbody", {}, ...all.map(([code, n]) => {
    const [word, kind, what] = results[code] || [code, "bad", ""];
    return h("tr", { "data-code": code }, h("th", { scope: "row" }, word, h("details", { id: `code-${code}`, open: open.has(`code-${code}`) }, h("summary", {}, "What this means"), h("p", {}, what), h("p", {}, "Code: ", h("code", {}, code)))),
      h("td", { class: "number" }, number(n)), h("td", { class: "number" }, percent(n, t.targeted)), h("td", {}, meter(n / t.targeted, kind === "good" ? "" : kind || "off")));
  })))) : h("p", { class: "note" }, "No phone was chosen yet."),
    sum(m.held) > 0 && h("p", { class: "notice" }, `${plural(sum(m.held), "phone")} of these wait for evidence before they are flagged.`) || "");
}

function drawSplit(el, m) {
  const table = (name, rows) => rows.length ? h("table", {}, h("caption", {}, name), h("thead", {}, h("tr", {}, h("td", {}), ...["Phones", "Accepted", "Opened"].map((n) => h("th", { scope: "col", class: "number" }, n)))), h("tbody", {}, rows)) : "";
  const cells = (name, x, opened) => h("tr", {}, said(name, "th", { scope: "row" }), h("td", { class: "number" }, number(x.targeted)), h("td", { class: "number" }, `${number(x.accepted)} (${percent(x.accepted, x.targeted)})`), h("td", { class: "number" }, opened === undefined ? "–" : `${number(opened)} (${percent(opened, x.accepted)})`));
  const byPlatform = Object.entries(m.platforms || {}).filter(([, p]) => p.targeted).map(([name, p]) => cells(platformNames[name] || name, p));
  const byApp = Object.entries(m.apps || {}).filter(([, a]) => a.targeted).map(([name, a]) => cells(name === "unknown" ? "Without a name" : name, a));
  const byVariant = Object.entries(m.variants || {}).map(([name, v]) => cells(name, v, v.opened));
  el.replaceChildren(h("h2", {}, "By platform, variant and app"), byPlatform.length + byVariant.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "By platform and variant" }, table("Platform", byPlatform), table("Variant", byVariant), byApp.length > 1 ? table("App", byApp) : "") : h("p", { class: "note" }, "No phone was chosen yet."));
}

const hours = (w) => `${w.from} to ${w.to}${w.days ? `, ${w.days.join(", ")}` : ""}${w.timeZone ? `, ${w.timeZone} for customers without a time zone` : ""}`;

function audienceOf(m) {
  const a = m.audience || {}, s = a.segments;
  if (a.everyone) return "everyone";
  if (s) return [["any of", s.any], ["all of", s.all], ["none of", s.none]].filter(([, l]) => l?.length).map(([w, l]) => `${w} ${l.join(", ")}`).join("; ");
  if (a.customers) return clip(a.customers.join(", "), 200);
  if (a.tokens) return plural(a.tokens.length, "token");
  return m.audienceList ? plural(m.audienceList.entries, m.audienceList.of.replace(/s$/, "")) : "";
}

function drawFacts(el, m) {
  const open = el.querySelector("details")?.open;
  const facts = [
    ["Audience", said(audienceOf(m))], m.only && ["Only", [...(m.only.platforms || []), ...(m.only.apps || [])].join(", ")], m.controlGroup && ["Control group", percent(m.controlGroup, 1)],
    m.category && ["Category", said(m.category)], m.tags?.length && ["Tags", said(m.tags.join(", "))], m.link && ["Link", said(m.link)],
    ["Handed in", h("span", {}, time(m.createdAt), m.createdBy ? ` by ${m.createdBy}` : "")], m.sendAt && ["Planned for", time(m.sendAt)], m.startedAt && ["Started", time(m.startedAt)], m.completedAt && ["Ended", time(m.completedAt)],
    ["Sends until", time(m.expiresAt)], m.hours && ["Hours", hours(m.hours)], m.ratePerMinute && ["Rate", `${number(m.ratePerMinute)} a minute`],
  ].filter(Boolean);
  const payload = m.message || Object.fromEntries(Object.entries(m.variants || {}).map(([k, v]) => [k, v.message]));
  el.replaceChildren(h("h2", {}, "Details"), h("dl", { class: "facts" }, ...facts.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    h("details", { open }, h("summary", {}, "The message as JSON, and the id"), h("p", {}, h("code", {}, m.id)), h("pre", { tabindex: "0" }, JSON.stringify(payload, null, 2))));
}
