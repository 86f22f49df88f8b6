// A notification as Android, iOS and a browser set it. Pictures are framed and
// linked, never loaded: the page loads nothing from elsewhere.
import { anchor, brief, clip, copier, h, said, timeOf, web } from "./dom.js";
import { isSingle, shown } from "./message.js";

// apps stand for the app's icon.
const appIcon = () => h("img", { class: "app-icon", src: "icon.svg", alt: "", width: 32, height: 32 });

function picture(url) {
  const href = web(url);
  const label = href ? new URL(href).host + new URL(href).pathname : url;
  return h("div", { class: "picture" },
    h("span", { class: "picture-mark", "aria-hidden": "true" }),
    h("span", {}, "Image"),
    anchor(url, { class: "picture-link" }, clip(label, 120)));
}

const line = (tag, cls, text, most) => (text ? said(clip(text, most), tag, { class: cls }) : null);

const makers = {
  android(s, at) {
    return [
      h("div", { class: "face-head" }, appIcon(), h("span", { class: "app" }, "Your app"), s.channel && said(clip(s.channel, 40), "span", { class: "channel" }), timeOf(at)),
      line("h3", "title", s.title, 4000), line("p", "body", s.body, 4000),
      s.image && picture(s.image),
    ];
  },
  ios(s, at) {
    return [
      appIcon(),
      h("div", { class: "face-text" },
        h("div", { class: "face-head" }, line("h3", "title", s.title || s.subtitle || "Your app", 4000), timeOf(at)),
        s.title && line("p", "subtitle", s.subtitle, 400), line("p", "body", s.body, 4000),
        s.image && picture(s.image)),
      s.badge && h("span", { class: "badge", title: "badge on the app's icon" }, clip(s.badge, 6)),
    ];
  },
  web(s, at) {
    return [
      s.image && picture(s.image),
      h("div", { class: "face-main" }, appIcon(),
        h("div", { class: "face-text" }, line("h3", "title", s.title, 4000), line("p", "body", s.body, 4000),
          h("div", { class: "face-head" }, h("span", { class: "app" }, "Your site"), timeOf(at)))),
      s.actions.length > 0 && h("div", { class: "face-actions" }, ...s.actions.map((a) => said(clip(a || "…", 60)))),
    ];
  },
};

// json shows the message as FCM received it, collapsed.
function json(m) {
  const pre = h("pre", { tabindex: 0 });
  const details = h("details", { class: "json" }, h("summary", {}, "JSON"), pre);
  details.addEventListener("toggle", () => {
    if (!details.open || pre.textContent) return;
    const text = JSON.stringify(m.message, null, 2);
    pre.textContent = text;
    details.append(copier(text, "Copy the JSON"));
  });
  return details;
}

// face is one notification on a platform, with where a tap leads and where it
// came from below it.
export function face(m, platform) {
  const s = shown(m.message, platform);
  const card = m.notificationsOff
    ? h("div", { class: "face silent" }, h("p", {}, "Notifications are off on this phone: FCM accepted the message, nothing is shown."))
    : s.silent
    ? h("div", { class: "face silent" }, h("p", {}, "Data only: nothing is shown, the app decides."))
    : h("div", { class: `face ${platform}`, lang: "" }, ...makers[platform](s, Date.parse(m.receivedAt)).filter(Boolean));
  return h("article", { class: "notification", "data-sequence": m.sequence },
    card,
    h("footer", {},
      s.link && h("span", { class: "tap" }, "Tap opens ", anchor(s.link, {}, clip(s.link, 200))),
      s.collapse && h("span", { class: "collapse", title: "A newer notification with this key takes its place" }, "collapse key ", said(clip(s.collapse, 64), "code")),
      m.mailingId && (isSingle(m.mailingId)
        ? h("span", { class: "from" }, "message ", brief(m.mailingId))
        : h("a", { class: "from", href: `#mailings/${encodeURIComponent(m.mailingId)}` }, "mailing ", brief(m.mailingId))),
      json(m)));
}

// offerWhole adds a button that shows the whole text of a notification, if the phone cuts
// it. The notification has to be in the page.
export function offerWhole(notification) {
  const texts = [...notification.querySelectorAll(".title, .body")];
  if (!texts.some((el) => el.scrollHeight > el.clientHeight + 1)) return;
  const b = h("button", { type: "button", class: "copy whole", "aria-pressed": "false", onclick: () => {
    b.setAttribute("aria-pressed", String(notification.classList.toggle("uncut")));
  } }, "Whole text");
  notification.querySelector("footer").prepend(b);
}

// stack lays a phone's messages out, the newest on top; one whose collapse key
// came again has been replaced, and is folded away below.
export function stack(messages, platform) {
  const latest = new Set();
  const standing = [], replaced = [];
  for (const m of messages.toReversed()) {
    const key = shown(m.message, platform).collapse;
    if (key && latest.has(key)) replaced.push(m);
    else standing.push(m);
    if (key) latest.add(key);
  }
  return { standing, replaced };
}
