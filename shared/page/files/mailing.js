// One mailing: what became of everybody, and what can be done.
import { $, clip, h, number, percent, plural, said, sum, time, toast } from "./dom.js";
import { get, mailingPath, post } from "./ask.js";
import { ahead, final } from "./common/mailing.js";
import { funnel, outcomes, parts } from "./common/sums.js";
import { chip, left, paused, reached, titleOf } from "./common/words.js";
import { confirmed } from "./dialog.js";
import { Rate } from "./rate.js";

const again = 2000; // milliseconds between two looks at a mailing that runs

export async function mailing(page) {
  const sheet = { page, m: await get(mailingPath(page.id)) };
  if (page.isGone()) return;
  for (const p of ["top", "actions", "funnel", "rate", "results", "split", "facts"]) sheet[p] = h("div", { class: { top: "title", actions: "actions" }[p] || "card" });
  page.main.append(sheet.top, sheet.actions, sheet.funnel, sheet.rate, h("div", { class: "columns" }, sheet.results, sheet.split), sheet.facts);
  const rate = new Rate(sheet.rate, page.id);
  draw(sheet);
  rate.look(sheet.m);

  let running = true;
  const tick = async () => {
    if (!running) return;
    if (!document.hidden && !done(sheet.m)) await refresh(sheet).catch(() => { /* the next look tells */ });
    if (!document.hidden) rate.look(sheet.m);
    if (running) timer = setTimeout(tick, again);
  };
  let timer = setTimeout(tick, again);
  page.onLeave(() => {
    running = false;
    clearTimeout(timer);
    rate.end();
  });
}

const done = (m) => m.completedAt && m.unflag?.state !== "running";

async function refresh(sheet) {
  const m = await get(mailingPath(sheet.page.id));
  if (sheet.page.isGone()) return;
  const same = JSON.stringify(m) === JSON.stringify(sheet.m);
  if (!same) {
    sheet.m = m;
    draw(sheet);
  }
}

function draw(sheet) {
  const { m } = sheet;
  drawTop(sheet, m);
  drawActions(sheet, m);
  sheet.funnel.replaceChildren(...funnel(m), m.fcmReport ? google(m.fcmReport) : "");
  sheet.results.replaceChildren(...outcomes(m, new Set([...sheet.results.querySelectorAll("details[open]")].map((d) => d.id))));
  sheet.split.replaceChildren(...parts(m));
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
  "flag-held": { label: "FCM is right: flag them", title: "Flag the phones that wait?", danger: true, text: (m) => [`${plural(sum(m.held), "phone")} that FCM called invalid will be flagged, and later mailings leave them out.`, "What this mailing still finds is flagged, too. If it is paused because of them, it goes on."] },
  "drop-held": { label: "FCM is wrong: flag none", title: "Flag none of the phones that wait?", text: (m) => [`${plural(sum(m.held), "phone")} that FCM called invalid will stay valid, and later mailings are sent to them.`, "What this mailing still finds is not flagged either. If it is paused because of them, it goes on."] },
};

const allowed = (m) => [
  sum(m.held) > 0 && !final.has(m.state) && "flag-held", sum(m.held) > 0 && !final.has(m.state) && "drop-held",
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
  const label = { pause: "Pause it", resume: "Resume it", cancel: "Cancel it for good", unflag: "Undo the flags", "flag-held": "Flag them", "drop-held": "Flag none" }[name];
  if (!await confirmed({ title: a.title, text: a.text(sheet.m), label, danger: a.danger })) return;
  try {
    await post(mailingPath(sheet.m.id, `/${name}`));
    toast({ pause: "The mailing is paused.", resume: "The mailing goes on.", cancel: "The mailing is cancelled.", unflag: "The flags are being undone.", "flag-held": "The phones are being flagged.", "drop-held": "None of them is flagged." }[name]);
  } catch (e) {
    toast(`${a.label}: ${e.message}`);
  }
  await refresh(sheet).catch(() => { /* the next look tells */ });
}

// google is what Google reports of the Android phones that share usage data.
const google = (r) => h("p", { class: "note", id: "google" }, `Google reports of ${plural(r.accepted, "Android phone")} that share usage data: ${number(r.delivered)} delivered (${percent(r.delivered, r.accepted)}), ${number(r.pending)} still held, ${number(r.dropped)} dropped${r.shared ? "; other mailings of the day are in these numbers, too" : ""}. As of `, time(r.asOf), ".");

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
