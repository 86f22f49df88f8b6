// The sliders: latency, quota and share of errors of the FCM emulator.
import { $, number, put, toast } from "./dom.js";
import { get, putTo } from "./ask.js";

const latencies = [0, 10, 20, 50, 70, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10000];
const quotas = [60, 120, 300, 600, 1200, 3000, 6000, 12_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_200_000, 0];
const usualQuota = 600_000; // FCM's quota for a project; less is a fault that is set
const shares = [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1];

const milliseconds = (text) => {
  const unit = { ns: 1e-6, "µs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return [...text.matchAll(/([\d.]+)(ns|µs|ms|s|m|h)/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0);
};

// place returns the step nearest to a value. A quota of 0 means no quota, the last step.
const place = (steps, value) => {
  if (steps === quotas && value === 0) return steps.length - 1;
  let best = 0;
  steps.forEach((s, i) => { if (Math.abs(s - value) < Math.abs(steps[best] - value)) best = i; });
  return best;
};

const shareText = (share) => `${Number((share * 100).toPrecision(2))} %`;
const span = (ms) => (ms >= 1000 ? `${ms / 1000} s` : `${Number(ms.toPrecision(3))} ms`);

export class Knobs {
  #settings = null;
  #timer = 0;
  #busy = 0;

  constructor() {
    $("latency").max = latencies.length - 1;
    $("quota").max = quotas.length - 1;
    $("errors").max = shares.length - 1;
    for (const id of ["latency", "quota", "errors"]) $(id).addEventListener("input", () => this.#turn());
    $("error-kind").addEventListener("change", () => this.#turn());
    $("calm").addEventListener("click", () => {
      $("latency").value = 0;
      $("errors").value = 0;
      $("quota").value = quotas.length - 1;
      this.#turn();
    });
  }

  #chosen() {
    return { latency: latencies[$("latency").value], quota: quotas[$("quota").value], share: shares[$("errors").value] };
  }

  #turn() {
    const { latency, quota, share } = this.#chosen();
    this.#write(latency, quota, share);
    clearTimeout(this.#timer);
    this.#busy++;
    this.#timer = setTimeout(async () => {
      const kinds = [...$("error-kind").options].map((o) => o.value);
      const chaos = Object.fromEntries(Object.entries(this.#settings?.chaos || {}).filter(([k]) => !kinds.includes(k)));
      if (share > 0) chaos[$("error-kind").value] = share;
      const body = { latency: `${latency}ms`, quotaPerMinute: quota, chaos };
      if (latency === 0) body.jitter = "0s";
      try {
        this.#settings = await putTo("emulator/settings", body);
      } catch (e) {
        toast(`FCM's settings were not changed: ${e.faults?.map((f) => f.message).join("; ") || e.message}`);
      }
      this.#busy = 0;
      this.load();
    }, 150);
  }

  // write shows the values of the sliders as text.
  #write(latency, quota, share) {
    const texts = { latency: span(latency), quota: quota ? `${number(quota)} a minute` : "none", errors: share ? shareText(share) : "none" };
    for (const [id, text] of Object.entries(texts)) {
      put($(`${id}-value`), text);
      $(id).setAttribute("aria-valuetext", text);
    }
    $("errors").parentElement.classList.toggle("on", share > 0);
    const faults = share > 0 || latency > 500 || (quota > 0 && quota < usualQuota);
    document.body.classList.toggle("stormy", faults);
    $("faults-on").hidden = !faults;
  }

  // load shows the current settings, unless the user is moving a slider.
  async load() {
    const s = await get("emulator/settings");
    if (this.#busy) return;
    this.#settings = s;
    const kinds = [...$("error-kind").options].map((o) => o.value);
    const [kind, share] = Object.entries(s.chaos).find(([k]) => kinds.includes(k)) || ["", 0];
    const latency = milliseconds(s.latency);
    $("latency").value = place(latencies, latency);
    $("quota").value = place(quotas, s.quotaPerMinute);
    $("errors").value = place(shares, share);
    if (kind) $("error-kind").value = kind;
    this.#write(latency, s.quotaPerMinute, share);
  }
}
