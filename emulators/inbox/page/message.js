// How a platform reads an FCM message: what is shared, and its own part over
// it. Names may be in snake_case and in camelCase, as FCM takes both.

const camel = (name) => name.replace(/_([a-z])/g, (_, c) => c.toUpperCase());

// member reads a member by its snake_case name.
const member = (o, name) => (o && typeof o === "object" ? (o[name] ?? o[camel(name)]) : undefined);

// header reads a header. Header names are case-insensitive.
function header(o, name) {
  for (const [k, v] of Object.entries(o || {})) if (k.toLowerCase() === name) return v;
  return undefined;
}

const words = (v) => (v == null ? "" : typeof v === "string" ? v : JSON.stringify(v));

// first returns the first value that exists, as text.
const first = (...values) => words(values.find((v) => v != null && v !== ""));

// localized stands for a text that the app looks up under a key.
const localized = (key) => (key ? `[${key}]` : undefined);

const readers = {
  android(m) {
    const n = m.notification || {}, a = member(m.android, "notification") || {};
    return {
      title: first(a.title, localized(member(a, "title_loc_key")), n.title),
      body: first(a.body, localized(member(a, "body_loc_key")), n.body),
      image: first(a.image, n.image),
      collapse: first(a.tag, member(m.android, "collapse_key")),
      channel: first(member(a, "channel_id")),
      actions: [],
    };
  },
  ios(m) {
    const n = m.notification || {}, aps = m.apns?.payload?.aps || {};
    const alert = typeof aps.alert === "string" ? { body: aps.alert } : aps.alert || {};
    return {
      title: first(alert.title, localized(alert["title-loc-key"]), n.title),
      subtitle: first(alert.subtitle),
      body: first(alert.body, localized(alert["loc-key"]), n.body),
      image: first(member(member(m.apns, "fcm_options"), "image"), n.image),
      collapse: first(header(m.apns?.headers, "apns-collapse-id")),
      badge: first(aps.badge),
      actions: [],
    };
  },
  web(m) {
    const n = m.notification || {}, w = m.webpush?.notification || {};
    return {
      title: first(w.title, n.title),
      body: first(w.body, n.body),
      image: first(w.image, n.image),
      collapse: first(w.tag, header(m.webpush?.headers, "topic")),
      link: first(member(m.webpush, "fcm_options")?.link),
      actions: Array.isArray(w.actions) ? w.actions.slice(0, 2).map((a) => first(a?.title)) : [],
    };
  },
};

export const platforms = ["android", "ios", "web"];

// shown is what a platform would show of a message; silent when it shows
// nothing and leaves the data to the app.
export function shown(message, platform) {
  const m = message || {};
  const s = readers[platform](m);
  s.link ||= first(m.data?.link, member(member(m.android, "notification"), "click_action"));
  s.silent = !s.title && !s.body;
  return s;
}

// text returns title and body for a list that is independent of a platform.
export function text(message) {
  for (const p of platforms) {
    const s = readers[p](message || {});
    if (s.title || s.body) return s;
  }
  return { title: "", body: "" };
}

// isSingle tells the id of a message to one customer from that of a mailing.
export const isSingle = (id) => Boolean(id?.startsWith("s"));
