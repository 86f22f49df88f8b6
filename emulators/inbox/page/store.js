// What the phones have got, as far as the list needs it: a summary of every
// message, by phone and by customer. The messages themselves stay with the
// emulator and are asked for when a phone is opened.
import { text } from "./message.js";

export class Store {
  constructor() {
    this.keep = 100_000;
    this.clear();
  }

  clear() {
    this.bySequence = new Map();
    this.phones = new Map();
    this.groups = new Map();
    this.order = []; // groups, the last rung first
    this.touched = new Set(); // groups that order does not show yet
    this.rung = new Set(); // phones something has happened to, until somebody has looked
    this.newest = 0;
    this.oldest = Infinity;
    this.stamp = 0;
  }

  get size() { return this.bySequence.size; }

  // phone finds or creates the phone of a message's target.
  phone(m) {
    const kind = m.token ? "token" : m.fid ? "fid" : m.topic ? "topic" : "condition";
    const address = m.token || m.fid || m.topic || m.condition || "";
    const key = `${kind}:${address}`;
    let p = this.phones.get(key);
    if (!p) {
      p = { key, kind, address, hay: address.toLowerCase(), group: null, messages: [], last: 0, refused: null, matches: true };
      this.phones.set(key, p);
    }
    this.settle(p, m.customerId || p.group?.customer || "");
    return p;
  }

  // settle puts a phone to its customer, where it may have moved from another.
  settle(p, customer) {
    if (p.group && p.group.customer === customer) return;
    if (p.group) {
      p.group.phones.splice(p.group.phones.indexOf(p), 1);
      this.touched.add(p.group);
    }
    const key = customer ? `customer:${customer}` : p.key;
    let g = this.groups.get(key);
    if (!g) {
      g = { key, customer, hay: customer.toLowerCase(), phones: [], last: 0, stamp: 0 };
      this.groups.set(key, g);
    }
    g.phones.push(p);
    p.group = g;
    this.touched.add(g);
  }

  // add adds an accepted message. It returns false if the message is already known.
  add(m) {
    if (this.bySequence.has(m.sequence)) return false;
    const p = this.phone(m);
    const s = summary(m, p);
    this.bySequence.set(m.sequence, s);
    let at = p.messages.length;
    while (at > 0 && p.messages[at - 1].sequence > s.sequence) at--;
    p.messages.splice(at, 0, s);
    p.last = Math.max(p.last, s.sequence);
    p.group.last = Math.max(p.group.last, s.sequence);
    this.touched.add(p.group);
    this.rung.add(p);
    this.newest = Math.max(this.newest, s.sequence);
    this.oldest = Math.min(this.oldest, s.sequence);
    this.trim();
    return true;
  }

  // refuse books what a phone was not sent; it counts as the last that happened.
  refuse(event) {
    const m = event.message;
    if (!m || !(m.token || m.fid)) return null;
    const p = this.phone(m);
    p.refused = { outcome: event.outcome, at: Date.parse(event.at), mailing: m.mailingId || "" };
    p.group.last = Math.max(p.group.last, this.newest);
    this.touched.add(p.group);
    this.rung.add(p);
    return p;
  }

  // trim removes the messages that the emulator has removed.
  trim() {
    for (; this.oldest <= this.newest - this.keep; this.oldest++) {
      const s = this.bySequence.get(this.oldest);
      if (!s) continue;
      this.bySequence.delete(this.oldest);
      s.phone.messages.shift();
      if (s.phone.messages.length === 0 && !s.phone.refused) this.drop(s.phone);
    }
  }

  drop(p) {
    this.phones.delete(p.key);
    p.group.phones.splice(p.group.phones.indexOf(p), 1);
    this.touched.add(p.group);
  }

  // sort brings order up to date by merging the touched groups in: linear in
  // the number of groups.
  sort() {
    if (this.touched.size === 0) return;
    const stamp = ++this.stamp;
    const fresh = [];
    for (const g of this.touched) {
      g.stamp = stamp;
      if (g.phones.length > 0) fresh.push(g);
      else this.groups.delete(g.key);
    }
    this.touched.clear();
    fresh.sort((a, b) => b.last - a.last);
    const merged = [];
    let i = 0;
    for (const g of this.order) {
      if (g.stamp === stamp) continue;
      while (i < fresh.length && fresh[i].last >= g.last) merged.push(fresh[i++]);
      merged.push(g);
    }
    while (i < fresh.length) merged.push(fresh[i++]);
    this.order = merged;
  }
}

const words = (o) => (o && typeof o === "object" ? Object.values(o).filter((v) => typeof v === "string").join("\n") : "");

// summary keeps of a message what the list shows and the search looks at.
function summary(m, phone) {
  const { title, body } = text(m.message);
  return {
    sequence: m.sequence, at: Date.parse(m.receivedAt), phone, mailing: m.mailingId || "", title, body,
    hay: `${m.mailingId || ""}\n${title}\n${body}\n${words(m.message.data)}`.toLowerCase(),
    whole: phone.kind === "token" || phone.kind === "fid" ? null : m, // the admin interface has no filter for topics
  };
}
