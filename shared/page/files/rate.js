// How a mailing was sent over time: the rate, its pauses, and when FCM limited it.
import { h, number, plural, time } from "./dom.js";
import { get, mailingPath } from "./ask.js";
import { paused } from "./common/words.js";
import { line } from "./chart.js";

// The server reads each batch of 1,000 phones for an answer. So a larger mailing is asked
// about less often: 100 ms for each batch, but at least 5 seconds and at most a minute.
const wait = (m) => Math.min(60_000, Math.max(5000, m.tokens.targeted / 10));

// perMinute makes points of a timeline: every step without an answer is 0.
export function perMinute({ stepSeconds, points }) {
  const times = [], values = [];
  for (const p of points) {
    const at = Date.parse(p.at) / 1000;
    for (let next = times.at(-1) + stepSeconds; next < at; next += stepSeconds) {
      times.push(next);
      values.push(0);
    }
    times.push(at);
    values.push(Math.round((p.answered * 60) / stepSeconds));
  }
  return { times, values };
}

// A Rate draws the timeline of a mailing in an element.
export class Rate {
  #asked = 0;
  #last = "";

  constructor(el, id) {
    Object.assign(this, { el, id });
    el.hidden = true;
  }

  // look draws the timeline anew if it may have changed, and not too often.
  async look(m) {
    const now = `${m.state} ${m.tokens.targeted - m.tokens.pending}`;
    if (now === this.#last || (!m.completedAt && Date.now() - this.#asked < wait(m))) return;
    const before = this.#last;
    this.#asked = Date.now();
    this.#last = now;
    try {
      this.#draw(await get(mailingPath(this.id, "/timeline")));
    } catch {
      this.#last = before; // the next look asks again
    }
  }

  #draw(timeline) {
    if (this.ended || timeline.points.length < 2) return;
    const limited = timeline.points.filter((p) => p.limited);
    const data = {
      ...perMinute(timeline),
      bands: timeline.pauses.map((p) => [Date.parse(p.from) / 1000, p.to ? Date.parse(p.to) / 1000 : Date.now() / 1000]),
      dots: limited.map((p) => Date.parse(p.at) / 1000),
    };
    const often = limited.reduce((n, p) => n + p.limited, 0);
    this.el.hidden = false;
    if (this.plot) this.plot.update(data);
    else {
      const chart = h("div", { class: "chart", "aria-hidden": "true" });
      this.note = h("div", {});
      this.el.replaceChildren(h("h2", {}, "Answers of FCM a minute"), chart, this.note);
      this.plot = line(chart, { label: "a minute", tall: 180, ...data });
    }
    this.note.replaceChildren(
      h("p", { class: "note", id: "limited" }, often ? `FCM limited the rate ${number(often)} times (answer 429): these phones were sent to again later. A dot marks when.` : "FCM did not limit the rate (answer 429)."),
      timeline.pauses.length ? h("ul", { class: "note", id: "pauses" }, ...timeline.pauses.map((p) => h("li", {}, "Paused from ", time(p.from), p.to ? " to " : "", p.to ? time(p.to) : "", `: ${(paused[p.reason] || ["for another reason."])[0]}`))) : "",
      h("p", { class: "note" }, `Each point stands for ${plural(timeline.stepSeconds, "second")}. A phone counts when its batch of up to 1,000 phones ended.`));
  }

  end() {
    this.ended = true;
    this.plot?.end();
  }
}
