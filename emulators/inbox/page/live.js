// The stream of what happens, taken in without ever holding the page up:
// events wait in a queue, a frame works on it for a few milliseconds, and the
// page is drawn once a frame however much has come.
import { get, query } from "./ask.js";

const budget = 6; // milliseconds per frame for processing events
const page = 1000; // messages asked for at a time when catching up

// breath lets the browser do its other work.
const breath = () => new Promise((done) => {
  const c = new MessageChannel();
  c.port1.onmessage = () => done();
  c.port2.postMessage(0);
});

export class Live extends EventTarget {
  #queue = [];
  #at = 0;
  #due = false;
  #catching = false;
  #gap = Infinity; // messages after this sequence may be missing

  constructor(store) {
    super();
    this.store = store;
  }

  start() {
    const source = new EventSource("emulator/events");
    const take = (e) => this.#take(e.type, e.data);
    for (const kind of ["accepted", "refused", "validated", "changed", "cleared", "lost"]) source.addEventListener(kind, take);
    source.onopen = () => {
      this.#say("state", "live");
      this.#say("changed");
      this.#missed();
    };
    source.onerror = () => {
      this.#say("state", "offline");
      if (source.readyState === EventSource.CLOSED) { // the browser does not reconnect
        source.close();
        setTimeout(() => this.start(), 2000);
      }
    };
  }

  #say(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #take(kind, data) {
    this.#queue.push(kind, data);
    this.#plan();
  }

  // plan works at the next frame, or soon where nobody looks and there are none.
  #plan() {
    if (this.#due) return;
    this.#due = true;
    const work = () => {
      this.#due = false;
      this.#drain();
    };
    if (document.hidden) setTimeout(work, 100);
    else requestAnimationFrame(work);
  }

  #drain() {
    const until = performance.now() + budget;
    const q = this.#queue;
    while (this.#at < q.length && performance.now() < until) this.#one(q[this.#at++], q[this.#at++]);
    if (this.#at >= q.length) {
      this.#queue = [];
      this.#at = 0;
    } else {
      this.#plan();
    }
    this.#say("drawn");
  }

  #one(kind, data) {
    switch (kind) {
      case "accepted": {
        const m = JSON.parse(data).message;
        if (this.store.add(m)) this.#say("message", m);
        break;
      }
      case "refused": {
        const e = JSON.parse(data);
        const phone = this.store.refuse(e);
        this.#say("refused", { phone, event: e });
        break;
      }
      case "cleared":
        this.store.clear();
        this.#say("cleared");
        break;
      case "lost":
        this.#missed();
        break;
      case "changed":
        this.#say("changed");
    }
  }

  // missed fills the gap since what is known for certain: after connecting, and
  // where the stream says that it left something out.
  #missed() {
    this.#gap = Math.min(this.#gap, this.store.newest);
    if (!this.#catching) this.#fill();
  }

  async #fill() {
    this.#catching = true;
    const from = this.#gap;
    this.#gap = Infinity;
    try {
      await this.#catchUp(from);
    } catch {
      this.#gap = Math.min(this.#gap, from); // the server cannot be reached; try again later
    }
    this.#catching = false;
    this.#say("loading", null);
    if (this.#gap < Infinity) setTimeout(() => { if (!this.#catching) this.#fill(); }, 1000);
  }

  // catchUp reads backwards from the newest message to the first that is known.
  async #catchUp(from) {
    let before = 0, got = 0;
    for (;;) {
      const params = { limit: page };
      if (before) params.before = before;
      const list = (await get(query("emulator/messages", params))).messages.reverse();
      if (!before && list.length > 0 && list[0].sequence < from) { // the server has been restarted
        this.store.clear();
        from = 0;
      }
      await this.#slice(list.filter((m) => m.sequence > from));
      got += list.length;
      this.#say("loading", got);
      if (list.length < page || list.at(-1).sequence <= from + 1) return;
      before = list.at(-1).sequence;
    }
  }

  // slice adds messages for a few milliseconds at a time.
  async #slice(list) {
    let until = performance.now() + budget;
    for (const m of list) {
      this.store.add(m);
      if (performance.now() < until) continue;
      this.#plan();
      await breath();
      until = performance.now() + budget;
    }
    this.#plan();
  }
}
