// What a mailing would do: to how many it goes, how long it takes, and what it costs.
import { duration, h, number, percent, plural, said, time } from "./dom.js";
import { excluded } from "./common/words.js";

const money = (usd) => (usd < 0.01 ? "less than 1 cent" : `$${usd.toFixed(2)}`);

export class Estimate {
  constructor() {
    this.body = h("div", { id: "estimate", role: "status", "aria-live": "polite" });
    this.el = h("section", { class: "card" }, h("h2", {}, "Estimate"), this.body);
    this.wait([]);
  }

  // wait says what is missing before there can be an estimate.
  wait(faults) {
    this.body.dataset.state = "wait";
    this.body.replaceChildren(...(faults.length ? [h("ul", { class: "faults note" }, ...faults.map((t) => said(t, "li")))] : [h("p", { class: "note" }, "Type a message and choose an audience.")]));
  }

  busy() { this.body.dataset.state = "busy"; }

  show(p) {
    this.body.dataset.state = "shown";
    const left = Object.entries(excluded).filter(([k]) => p.excluded[k]);
    this.body.replaceChildren(h("div", { class: "card-body" },
      h("p", {}, h("span", { class: "big", id: "estimated" }, number(p.targeted)), " ", `of about ${plural(p.customers, "customer")} would get it, on ${plural(p.tokens, "phone")}.`),
      left.length > 0 && h("table", { id: "left-out" }, h("caption", {}, "Left out"), h("tbody", {}, ...left.map(([k, word]) => h("tr", {}, h("th", { scope: "row" }, word), h("td", { class: "number" }, number(p.excluded[k])), h("td", { class: "number" }, percent(p.excluded[k], p.customers)))))),
      h("dl", { class: "facts" }, h("dt", {}, "Takes about"), h("dd", {}, duration(p.seconds)), h("dt", {}, "Costs at most about"), h("dd", {}, money(p.usd)),
        h("dt", {}, "Size"), h("dd", {}, p.payloads.map((x) => `${x.variant ? `${x.variant}: ` : ""}${number(x.bytes)} of ${number(x.maxBytes)} bytes`).join(", "))),
      p.expired > 0 && h("p", { class: "notice" }, `About ${plural(p.expired, "phone")} find no hours before the mailing stops, and get nothing.`),
      p.lastOpens && h("p", { class: "note" }, "The hours begin in the last time zone at ", time(p.lastOpens), "."),
      ...p.missing.map((m) => h("p", { class: "notice" }, h("span", {}, `About ${plural(m.customers, "customer")} do not have the attribute `, said(m.attribute, "code"), ". Is it written right?"))),
      !p.proven && h("p", { class: "notice" }, "FCM could not be asked now whether it accepts the message."),
      p.sampled > 0 && h("p", { class: "note" }, `From a sample of ${plural(p.sampled, "customer")}.`)));
  }
}
