// What stands where a list has nothing to show, and what one can do about it.
import { $, copier, h, plural, toast } from "./dom.js";
import { post } from "./ask.js";
import { names, samples } from "./samples.js";

const sample = `{"message": {\n  "token": "my-first-phone",\n  "notification": {"title": "Hello"}}}`;

// emptiness shows or hides it; kind is the view, or "found" for a search.
// compose writes mailings, where there are functions; fcm is where clients send
// to, where that is known; added is told the ids of sample customers.
export function emptiness(nothing, kind, { compose, fcm, added }) {
  const el = $("empty");
  el.hidden = !nothing;
  $("list").hidden = nothing;
  if (!nothing) return;
  if (el.dataset.kind === kind) return;
  el.dataset.kind = kind;
  const say = (title, text, ...more) => el.replaceChildren(h("img", { src: "icon.svg", alt: "", width: 56, height: 56 }), h("h3", {}, title), h("p", {}, text), ...more);
  const buttons = () => h("div", { class: "buttons" },
    h("button", { type: "button", class: "quiet", onclick: () => addSamples(added) }, "Add sample customers"), h("button", { type: "button", class: "primary", onclick: () => compose.open() }, "New mailing"));
  if (kind === "found") say("Nothing found", "Words are looked for in tokens, customers, mailings and texts; all have to be there.");
  else if (kind === "found-data") say("Nothing found", "Documents are found by their path (customers/anna), by their id, or in a collection by the begin of their id.");
  else if (kind === "found-requests") say("No such request", "Words are looked for in the method, the path, the outcome and the text of an error; all have to be there.");
  else if (kind === "data") say("No documents", "What clients write to the Firestore emulator appears here. Reload shows what is new.");
  else if (kind === "requests") say("No request yet", "Requests of clients to the Firestore emulator appear here within a second.");
  else if (kind === "mailings") say("No mailing yet", "Mailings handed in over HTTP, and those from here, show up with their sums.");
  else if (kind === "customers") say("No customer to show", "Customers appear when their phones ring. Anybody else is found by typing the whole id into the search.", buttons());
  else if (compose) say("No phone has rung yet", "Send a mailing to your customers, or start with a few made-up ones.", buttons());
  else say("No phone has rung yet", `Point an FCM client at ${fcm || "this emulator"}, and what it sends appears here.`, ...(fcm ? trial(fcm) : []));
}

// trial is a first message for a terminal.
function trial(fcm) {
  const command = `curl -d '${sample}' \\\n${fcm}/v1/projects/demo/messages:send`;
  return [h("pre", { tabindex: 0 }, command), copier(command, "Copy the command")];
}

// addSamples imports the sample customers, and tells added their ids.
export async function addSamples(added) {
  try {
    const answer = await post("v1/imports", samples(), { "Content-Type": "application/x-ndjson" });
    toast(`${plural(answer.imported, "customer")} added, in segment “sample”.`);
    added(names);
  } catch (e) {
    toast(`No customers were added: ${e.message}`);
  }
}
