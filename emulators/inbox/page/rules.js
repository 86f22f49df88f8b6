// The answers of FCM for a token: the rules of the emulator. The latest rule that
// matches wins.
import { get, putTo } from "./ask.js";

// tokenStates are the states that a click can give a token.
export const tokenStates = [
  { outcome: "OK", label: "Well" },
  { outcome: "UNREGISTERED", label: "Unregistered" },
  { outcome: "INVALID_TOKEN", label: "Malformed" },
  { outcome: "SLOW", label: "Slow" },
];

const names = { UNREGISTERED: "unregistered", INVALID_TOKEN: "malformed", SLOW: "slow", HANG: "no answer", RESET: "reset" };
export const nameOf = (outcome) => names[outcome] || outcome.toLowerCase().replaceAll("_", " ");

const pattern = (text) => new RegExp(`^${text.split("*").map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("[^]*")}$`);

export class Rules {
  #exact = new Map();
  #patterns = [];

  async load() {
    const exact = new Map(), patterns = [];
    (await get("emulator/outcomes")).forEach((r, order) => {
      if (r.token.includes("*")) patterns.push({ order, outcome: r.outcome, fits: pattern(r.token) });
      else exact.set(r.token, { order, outcome: r.outcome });
    });
    this.#exact = exact;
    this.#patterns = patterns;
  }

  // of answers the outcome that a phone's next message will have.
  of(phone) {
    if (phone.kind !== "token" && phone.kind !== "fid") return "OK";
    let best = this.#exact.get(phone.address);
    for (const p of this.#patterns) if ((!best || p.order > best.order) && p.fits.test(phone.address)) best = p;
    return best?.outcome || "OK";
  }

  async set(phone, outcome) {
    await putTo("emulator/outcomes", [{ token: phone.address, outcome }]);
    await this.load();
  }
}
