// What stands where a list has nothing to show, and what one can do about it.
import { $, h, plural, toast } from "./dom.js";
import { post } from "./ask.js";
import { samples } from "./samples.js";

// emptiness shows or hides it; kind is the view, with functions or without, or
// "found" for a search.
export function emptiness(nothing, kind, compose) {
  const el = $("empty");
  el.hidden = !nothing;
  $("list").hidden = nothing;
  if (!nothing) return;
  if (el.dataset.kind === kind) return;
  el.dataset.kind = kind;
  const say = (title, text, ...more) => el.replaceChildren(h("img", { src: "icon.svg", alt: "", width: 56, height: 56 }), h("h3", {}, title), h("p", {}, text), ...more);
  if (kind === "found") say("Nothing found", "Words are looked for in tokens, customers, mailings and texts; all have to be there.");
  else if (kind === "mailings") say("No mailing yet", "Mailings handed in over HTTP, and those from here, show up with their sums.");
  else if (!compose) say("No phone has rung yet", "Point an FCM client at this emulator, and what it sends appears here.");
  else say("No phone has rung yet", "Send a mailing to your customers, or start with a few made-up ones.", h("div", { class: "buttons" },
    h("button", { type: "button", class: "quiet", onclick: addSamples }, "Add sample customers"), h("button", { type: "button", class: "primary", onclick: () => compose.open() }, "New mailing")));
}

async function addSamples() {
  try {
    const answer = await post("v1/imports", samples(), { "Content-Type": "application/x-ndjson" });
    toast(`${plural(answer.imported, "customer")} added, in segment “sample”.`);
  } catch (e) {
    toast(`No customers were added: ${e.message}`);
  }
}
