// Which view is shown, and to whom.
import { $, h } from "./dom.js";
import { get } from "./ask.js";
import { overview } from "./overview.js";
import { mailings } from "./mailings.js";
import { mailing } from "./mailing.js";
import { customers } from "./customers.js";
import { compose } from "./compose.js";
import { settings } from "./settings.js";

const views = { overview, mailings, customers, compose, settings };
const names = { overview: "Overview", mailings: "Mailings", customers: "Customers", compose: "Compose", settings: "Settings", mailing: "Mailing" };
let me = { role: "look", email: "", project: "" };
let leave = () => {};

// placeOf reads the address: #/mailings/ID?filter.
function placeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", id = ""] = path.split("/");
  try {
    return { view: view || "overview", id: decodeURIComponent(id), query: new URLSearchParams(query) };
  } catch {
    return { view: "overview", id: "", query: new URLSearchParams() };
  }
}

// show draws the view of the address. A view returns a function that ends it.
async function show(first) {
  leave();
  let gone = false;
  const endings = [];
  leave = () => { gone = true; endings.forEach((end) => end()); };
  document.body.dataset.ready = "no";

  const place = placeOf(location.hash);
  const name = place.view === "mailings" && place.id ? "mailing" : place.view;
  const view = name === "mailing" ? mailing : views[name];
  for (const a of document.querySelectorAll(".top nav a")) {
    if (a.dataset.view === place.view) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  document.title = `${names[name] || "Not found"} – Carillon`;

  const main = $("main");
  const page = { main, id: place.id, query: place.query, me, canSend: me.role === "send", onLeave: (f) => (gone ? f() : endings.push(f)), isGone: () => gone };
  main.replaceChildren();
  try {
    if (view) await view(page);
    else main.replaceChildren(h("h1", {}, "There is nothing here"), h("p", {}, h("a", { href: "#/" }, "Go to the overview")));
  } catch (e) {
    if (gone) return;
    main.replaceChildren(h("h1", {}, "This cannot be shown"), h("p", { class: "notice bad", role: "alert" }, e.message),
      h("p", {}, h("button", { type: "button", onclick: () => show() }, "Try again")));
  }
  if (gone) return;
  const title = main.querySelector("h1");
  title?.setAttribute("tabindex", "-1");
  if (!first && !main.contains(document.activeElement)) (title || main).focus();
  document.body.dataset.ready = "yes";
}

$("skip").addEventListener("click", (e) => {
  e.preventDefault();
  $("main").focus();
});

try {
  me = await get("console.json");
  $("who").replaceChildren(`${me.email}, ${me.role === "send" ? "may send" : "may look"} · ${me.project}`);
  document.querySelector("[data-view=compose]").hidden = me.role !== "send";
} catch (e) {
  $("who").replaceChildren(e.message);
}
addEventListener("hashchange", () => show());
show(true);
