// What the API's words mean, for people.
import { duration, h, number, percent, sum } from "./dom.js";
import { ahead } from "./mailing.js";

export const states = {
  scheduled: ["Scheduled", ""], accepted: ["Starting", "busy"], sending: ["Sending", "busy"], paused: ["Paused", "warn"],
  completed: ["Completed", "good"], cancelled: ["Cancelled", ""], expired: ["Ran out of time", "warn"], refused: ["Refused by FCM", "bad"],
};

// chip shows the state, coloured by what became of the mailing: one that reached nobody is
// not green.
export function chip(m) {
  const [word, kind] = states[m.state] || [m.state, ""];
  const t = m.tokens;
  const nobody = m.state === "completed" && t && t.targeted > 0 && t.accepted * 2 < t.targeted;
  return h("span", { class: `chip ${nobody ? "bad" : m.state === "completed" && t?.targeted === 0 ? "" : kind}` }, nobody ? "Completed, most failed" : word);
}

// devices are the values of the setting and of the draft's field of the same name.
export const devices = { all: "all phones of a customer", latest: "only the phone that a customer added last" };

export const paused = {
  by_hand: ["A person paused it.", "Resume it when it may go on, or cancel it."],
  credentials: ["Google does not accept Carillon's account.", "Tell the people who run Carillon. Once the credentials are mended, resume it."],
  wrong_sender: ["Too many phones belong to another Firebase project.", "Tell the people who run Carillon: the project or the imported phones are wrong. Once that is mended, decide about the phones that wait. If FCM accepts phones again, the mailing goes on by itself."],
  implausible_invalid: ["More phones than can be true were called invalid. None of them is flagged yet.", "If FCM is right, flag them; if it is wrong, flag none. Both let the mailing go on. If FCM accepts phones again, it goes on by itself."],
  audience_too_large: ["The audience is larger than the mailing allows.", "Check the audience. Resume it if it is right, or cancel it. Nothing was sent."],
};

export const excluded = {
  noValidToken: "No phone that push can reach", optedOut: "Want no pushes", category: "Unsubscribed from the category",
  muted: "Notifications are off on every phone", filtered: "No phone of the chosen platforms and apps",
  control: "Control group: gets nothing on purpose", unknown: "Not a customer",
};

// results has words, whether it is good, bad or neither, and what it means.
export const results = {
  accepted: ["Accepted for delivery", "good", "FCM took the message. Whether a phone showed it, FCM does not say."],
  UNREGISTERED: ["App removed, or token ran out", "bad", "The token is flagged, and is not sent to again."],
  INVALID_ARGUMENT: ["Token is not valid", "bad", "The token is flagged, and is not sent to again."],
  SENDER_ID_MISMATCH: ["Phone of another Firebase project", "bad", "The app was registered with another project."],
  invalid: ["Token is not valid", "bad", "The token is flagged, and is not sent to again."],
  refused: ["FCM refused the message", "bad", "FCM accepted the token, but not this message for it."],
  failed: ["Could not be sent", "bad", "FCM gave no good answer in several attempts."],
  expired: ["Not sent in time", "off", "The lifetime of the mailing ended first."],
  cancelled: ["Not sent: cancelled", "off", "The mailing was cancelled first."],
  pending: ["Not answered yet", "", "The message waits, or is on its way."],
};

export const availability = {
  reachable: ["Push reaches this customer", "good"], muted: ["Notifications are off on every phone", "warn"],
  silent: ["No phone was seen for 30 days", "warn"], unreachable: ["Push cannot reach this customer", "bad"],
};
export const evidence = {
  token_seen: "A valid phone was seen within 30 days.", notifications_off: "Every app with a valid token says that notifications are off.",
  not_seen: "There is a valid token, but no app was active for 30 days.", no_token: "No phone is registered.",
  UNREGISTERED: "FCM said that the app was removed, or that the token ran out.", INVALID_ARGUMENT: "FCM said that the token is not valid.",
  SENDER_ID_MISMATCH: "FCM said that the token belongs to another Firebase project.",
};

export const titleOf = (m) => m.name || m.title || m.message?.notification?.title || Object.values(m.variants || {})[0]?.message?.notification?.title || "Without a title";

// reached says in a sentence what a mailing achieved.
export function reached(m) {
  const t = m.tokens;
  if (!t) return "";
  const all = t.targeted + ahead(m);
  if (!all) return m.completedAt ? "Nobody to send to" : "Nothing sent yet";
  return `${number(t.accepted)} of ${ahead(m) ? "about " : ""}${number(all)} accepted (${percent(t.accepted, all)})`;
}

// left says how long a mailing still takes, "" if nobody knows.
export const left = (m) => (m.secondsLeft > 0 ? `about ${duration(m.secondsLeft)} left` : "");

// progress is the bar of a mailing's tokens. What it has not come to stays grey.
export function progress(m) {
  const t = m.tokens || { targeted: 0, pending: 0 };
  const bad = sum(t.invalid) + (t.refused || 0) + (t.failed || 0), off = (t.expired || 0) + (t.cancelled || 0);
  const open = (t.pending || 0) + ahead(m);
  const parts = [[t.accepted || 0, "good"], [bad, "bad"], [off, "off"], [open || (t.targeted ? 0 : 1), ""]];
  const el = h("div", { class: "progress", role: "img", "aria-label": `${reached(m)}, ${number(bad)} not possible, ${number(off)} not sent, ${number(open)} open` });
  for (const [n, kind] of parts) {
    const i = h("i", { class: kind });
    i.style.flexGrow = n;
    el.append(i);
  }
  return el;
}

export const legend = () => h("p", { class: "legend", "aria-hidden": "true" },
  ...[["good", "accepted"], ["bad", "not possible"], ["off", "not sent"], ["", "open"]].map(([kind, word]) => h("span", {}, h("i", { class: kind }), word)));
