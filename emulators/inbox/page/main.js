// The page: which view is shown, and what becomes of what happens.
import { $, h, number, plural, put, toast, twice } from "./dom.js";
import { del, get } from "./ask.js";
import { Store } from "./store.js";
import { Live } from "./live.js";
import { List } from "./list.js";
import { Phones } from "./phones.js";
import { Phone } from "./phone.js";
import { Rules } from "./rules.js";
import { Knobs } from "./controls.js";
import { Customers, Details, fill as fillCustomer, row as customerRow } from "./customers.js";
import { Mailings, Sheet, fill, row } from "./mailings.js";
import { Compose } from "./compose.js";
import { emptiness } from "./empty.js";
import { Overview } from "./overview.js";
import { Notifier } from "./notify.js";
import { openHelp } from "./help.js";
import { Data } from "./data.js";
import { Requests } from "./requests.js";
import { isDocument, parentOf } from "./firestore.js";

const about = await get("inbox.json");
document.body.classList.toggle("alone", !about.api);
document.body.classList.toggle("no-firestore", !about.firestore);
put($("project"), about.project || "");

const store = new Store(), rules = new Rules(), knobs = new Knobs(), live = new Live(store);
const customers = new Customers(about.api), mailings = new Mailings(), notifier = new Notifier();
const added = (ids) => {
  ids.forEach((id) => customers.look(id));
  customers.doubt();
};
const overview = new Overview({ about, store, mailings, added });
let view = "", shownId = "", detail = null, list = null;

const go = (to, id = "", far = true) => {
  const hash = `#${to}${id ? "/" + encodeURIComponent(id) : ""}`;
  if (far && hash !== location.hash) location.hash = hash;
  else history.replaceState(null, "", hash);
  route(far);
};
const back = () => go(view);

const phones = new Phones({ store, rules, customers, open: (p, far) => go("phones", p.key, far) });
phones.empty = (found, searching) => {
  if (view === "phones") empty(found === 0, searching);
};

const nothing = (none, searching) => empty(none, searching);
const data = new Data({ project: about.project, go: (path, far = true) => go("data", path, far), empty: nothing });
const requests = new Requests({ project: about.project, open: (number, far) => go("requests", number, far), empty: nothing, grown: () => {
  if (view === "requests" && detail?.waits) reopen();
} });

const views = {
  phones: {
    title: "Phones",
    mount: () => phones.mount($("list")),
    unmount: () => phones.unmount(),
    list: () => phones.list,
    detail: (key) => store.phones.get(key) && new Phone(store.phones.get(key), { rules, customers, back, store }),
  },
  mailings: {
    title: "Mailings",
    mount: () => {
      list = new List($("list"), { height: 84, key: (m) => m.id, make: row, fill, open: (m, far) => go("mailings", m.id, far),
        seen: (some) => some.forEach((m) => { if (!m.tokens || m.stale) mailings.look(m.id).catch(() => {}); }) });
      $("list").setAttribute("aria-label", "Mailings");
      mailings.load().catch((e) => toast(`The mailings cannot be read: ${e.message}`));
      showMailings();
    },
    unmount: () => list.close(),
    list: () => list,
    detail: (id) => new Sheet(id, mailings, back),
  },
  customers: {
    title: "Customers",
    mount: () => {
      list = new List($("list"), { height: 60, key: (g) => g.customer, make: customerRow, fill: (el, g) => fillCustomer(el, g, customers), open: (g, far) => go("customers", g.customer, far),
        seen: (some) => {
          clearTimeout(customers.rest);
          customers.rest = setTimeout(() => some.forEach((g) => customers.look(g.customer)), 150);
        } });
      $("list").setAttribute("aria-label", "Customers");
      showCustomers();
    },
    unmount: () => list.close(),
    list: () => list,
    detail: (id) => new Details(id, { customers, store, back, send: (ids) => compose.open(ids) }),
  },
  data: {
    title: "Data",
    search: "Find a document by its path or id",
    mount: () => data.mount($("list")),
    unmount: () => data.unmount(),
    list: () => data.list,
    always: true, // it has details also of nothing chosen
    detail: (path) => data.detail(path),
    opens: isDocument,
    above: parentOf,
  },
  requests: {
    title: "Requests",
    search: "Filter by method, path, outcome",
    mount: () => requests.mount($("list")),
    unmount: () => requests.unmount(),
    list: () => requests.list,
    always: true,
    detail: (number) => requests.detail(number),
  },
  weather: { title: "FCM", mount: () => {}, unmount: () => {}, list: () => null, detail: () => null },
};

function showCustomers() {
  const text = $("search").value.trim().toLowerCase().replace(/^customer:/, "");
  const silent = (customer) => ({ key: "", customer, hay: customer.toLowerCase(), phones: [] });
  const rows = [...store.order.filter((g) => g.customer), ...customers.ids.filter((id) => !store.groups.has(`customer:${id}`)).map(silent)]
    .filter((g) => !text || g.hay.includes(text));
  if (text && !rows.some((g) => g.hay === text)) rows.push(silent($("search").value.trim().replace(/^customer:/, "")));
  list.set(rows);
  put($("list-note"), plural(rows.length, "customer"));
  empty(rows.length === 0, text !== "");
}

function showMailings() {
  const text = $("search").value.trim().toLowerCase().replace(/^mailing:/, "");
  const rows = mailings.list.filter((m) => !text || JSON.stringify([m.id, m.state, m.message]).toLowerCase().includes(text));
  list.set(rows);
  put($("list-note"), plural(rows.length, "mailing"));
  const older = $("fresh");
  older.hidden = !mailings.more;
  put(older, "Load older mailings");
  empty(rows.length === 0, text !== "");
}

const empty = (none, searching) => emptiness(none, searching ? (views[view].search ? `found-${view}` : "found") : view, { compose: about.api && compose, fcm: about.fcm, added });

// has reports whether the page has a view: some need functions, others Firestore.
const has = (name) => Object.hasOwn(views, name) && Boolean({ phones: true, weather: true, mailings: about.api, customers: about.api, data: about.firestore, requests: about.firestore }[name]);

// What was searched for in data, in requests, and in the other views together.
const searched = {}, usual = $("search").placeholder;
const areaOf = (name) => (views[name]?.search ? name : "inbox");

function changeSearch(from, to) {
  const text = views[to].search || usual;
  $("search").placeholder = text;
  put($("search-label"), text);
  if (areaOf(from) === areaOf(to)) return;
  searched[areaOf(from)] = $("search").value;
  $("search").value = searched[areaOf(to)] || "";
}

function route(far = true) {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const to = has(name) ? name : "phones";
  let id = "";
  try {
    id = decodeURIComponent(rest.join("/"));
  } catch { /* no address of ours */ }
  if (to !== view) {
    if (view) views[view].unmount();
    changeSearch(view, to);
    view = to;
    document.body.dataset.view = view;
    put($("list-title"), views[view].title);
    document.title = `${views[view].title} – Carillon inbox${about.project ? ` (${about.project})` : ""}`;
    $("fresh").hidden = true;
    $("tools").replaceChildren();
    $("list").hidden = false;
    $("empty").hidden = true;
    delete $("empty").dataset.kind;
    for (const a of document.querySelectorAll("[data-tab]")) {
      if (a.dataset.tab === view) a.setAttribute("aria-current", "page");
      else a.removeAttribute("aria-current");
    }
    views[view].mount();
    shownId = null;
  }
  if (id !== shownId) {
    shownId = id;
    detail = id || views[view].always ? views[view].detail(id) : null;
    if (!detail) overview.draw();
    $("detail").replaceChildren(detail ? detail.el : overview.el);
    $("detail").scrollTop = 0;
  }
  document.body.classList.toggle("opened", far && (views[view].opens || Boolean)(id));
  const l = views[view].list();
  if (l) {
    l.activeKey = id;
    l.draw();
  }
}

// reopen makes the details anew, of what now has their address.
function reopen() {
  shownId = null;
  route(document.body.classList.contains("opened"));
}

const compose = new Compose((id) => {
  mailings.heard(id);
  mailings.load().catch(() => {});
});

// What happens.
let statsDue = 0;
function stats() {
  if (statsDue) return;
  statsDue = setTimeout(async () => {
    try {
      const s = await get("emulator/stats");
      overview.showStats(s);
      const refused = Object.entries(s.outcomes).filter(([k]) => k !== "OK" && k !== "SLOW").reduce((n, [, v]) => n + v, 0);
      $("stats").replaceChildren(...[["Requests", s.requests], ["Accepted", s.accepted], ["Refused", refused], ["Duplicates", s.duplicates]]
        .flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, number(v))]));
    } catch { /* told by the light */ }
    statsDue = 0;
  }, 500);
}

live.addEventListener("state", ({ detail: s }) => {
  $("live").dataset.state = s;
  put($("live").lastElementChild, s);
  put($("spoken"), s === "live" ? "" : "The connection is lost; it is tried again.");
});
live.addEventListener("message", ({ detail: m }) => {
  notifier.heard(m);
  if (about.api && m.mailingId) mailings.heard(m.mailingId);
  if (detail instanceof Phone && detail.phone.address === (m.token || m.fid || m.topic || m.condition)) {
    if (detail.phone.kind === "topic" || detail.phone.kind === "condition") detail.load();
    else detail.got(m);
  }
});
live.addEventListener("refused", ({ detail: { phone, event } }) => {
  if (about.api && event.message?.mailingId) mailings.heard(event.message.mailingId);
  if (phone?.group.customer) setTimeout(() => customers.doubt(phone.group.customer), 1500);
});
live.addEventListener("cleared", () => {
  if (detail instanceof Phone) reopen();
  phones.order();
  stats();
});
let changing = 0;
live.addEventListener("changed", () => {
  clearTimeout(changing);
  changing = setTimeout(async () => {
    try {
      await Promise.all([rules.load(), knobs.load()]);
      store.keep = (await get("emulator/settings")).keep || store.keep;
    } catch { return; }
    phones.list?.draw();
    if (detail instanceof Phone) detail.judge();
  }, 100);
});
live.addEventListener("drawn", () => {
  phones.changed();
  put($("count-phones"), store.phones.size ? number(store.phones.size) : "");
  if (view === "customers") showCustomers();
  if (detail instanceof Phone) detail.draw();
  else if (view === "phones" && shownId && store.phones.has(shownId)) reopen();
  stats();
});
live.addEventListener("loading", ({ detail: n }) => {
  if (n) put($("live").lastElementChild, `loading ${number(n)}`);
  else put($("live").lastElementChild, $("live").dataset.state);
});
mailings.addEventListener("mailing", () => {
  put($("count-mailings"), mailings.list.length ? `${number(mailings.list.length)}${mailings.more ? "+" : ""}` : "");
  if (view === "mailings") showMailings();
  if (detail instanceof Sheet) detail.draw();
  else if (!detail) overview.draw();
});
mailings.addEventListener("reach", () => customers.doubt());
customers.addEventListener("customer", ({ detail: id }) => {
  if (view === "customers" && !store.groups.has(`customer:${id}`)) showCustomers();
  else if (view === "customers") list.draw();
  else phones.list?.draw();
  put($("count-customers"), customers.ids.length ? number(customers.ids.length) : "");
  if (detail instanceof Phone ? detail.phone.group.customer === id : detail instanceof Details && detail.id === id) detail.about();
});
customers.addEventListener("doubt", ({ detail: id }) => {
  const open = detail instanceof Phone ? detail.phone.group.customer : detail instanceof Details ? detail.id : "";
  if (open && (id === undefined || id === open)) customers.look(open);
  views[view].list()?.draw();
});

// What is done by hand.
let typing = 0;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    if (view === "customers") showCustomers();
    else if (view === "mailings") showMailings();
    else if (view === "data") data.search($("search").value);
    else if (view === "requests") requests.search($("search").value);
    else phones.search($("search").value);
  }, 120);
});
$("fresh").addEventListener("click", () => {
  if (view === "mailings") mailings.load(true).catch((e) => toast(e.message));
  else if (view === "data") data.more();
  else phones.toTop();
});
$("compose").addEventListener("click", () => compose.open());
$("keys").addEventListener("click", openHelp);
twice($("clear"), "Clear", () => `Clear ${number(store.size)} messages?`, () => del("emulator/messages").catch((e) => toast(`Nothing was cleared: ${e.message}`)));
addEventListener("hashchange", () => route());
const byKey = ["phones", "mailings", "customers", "data", "requests"];
addEventListener("keydown", (e) => {
  if (e.altKey || e.ctrlKey || e.metaKey || document.querySelector("dialog[open]")) return;
  const typed = e.target.matches("input:not([type=range], [type=checkbox]), textarea, select");
  if (e.key === "Escape") {
    if (e.target === $("search")) {
      $("search").value = "";
      $("search").dispatchEvent(new Event("input"));
      $("list").focus();
    } else if (shownId && !e.target.matches("textarea")) go(view, views[view].above?.(shownId));
  } else if (e.target === $("search") && e.key === "Enter" && view === "data") {
    clearTimeout(typing);
    $("list").focus();
    data.enter($("search").value);
    e.preventDefault();
  } else if (e.target === $("search") && (e.key === "ArrowDown" || e.key === "Enter")) {
    $("list").focus();
    views[view].list()?.choose(0);
    e.preventDefault();
  } else if (!typed && e.key === "/") {
    $("search").focus();
    $("search").select();
    e.preventDefault();
  } else if (!typed && e.key === "?") {
    openHelp();
    e.preventDefault();
  } else if ((e.key === "ArrowDown" || e.key === "ArrowUp") && document.activeElement === document.body && views[view].list()) {
    $("list").focus();
    views[view].list().choose(Math.max(0, views[view].list().active));
    e.preventDefault();
  } else if (!typed && e.key === "n" && about.api) {
    compose.open();
    e.preventDefault();
  } else if (!typed && "12345".includes(e.key) && has(byKey[e.key - 1])) {
    go(byKey[e.key - 1]);
    $("list").focus();
  }
});

$("list").tabIndex = 0;
$("list").setAttribute("role", "listbox");
route();
live.start();
if (about.api) mailings.load().catch(() => {});
document.body.dataset.ready = "yes";
