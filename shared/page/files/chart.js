// Charts, drawn by uPlot (uplot/LICENSE.txt).
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// line draws a line over time in an element. times are seconds since 1970, values are
// numbers or null. marks are times at which a thin vertical line stands, bands are pairs of
// times between which it is shaded, and dots stand at the bottom. It returns an object with
// update, which draws other times, values, bands and dots, and end.
export function line(el, { label, unit = "", times, values, marks = [], bands = [], dots = [], range, tall = 240, days = false }) {
  let data = [times, values], plot, ended = false;
  const draw = () => {
    if (ended) return;
    plot?.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    plot = new uPlot({
      width: Math.max(240, el.clientWidth), height: tall, legend: { show: false }, cursor: { drag: { x: false, y: false } },
      scales: { x: { range: (_, low, high) => [low, Math.max(high, ...marks) + (days ? 43200 : 1)] }, y: { range: range || ((_, low, high) => [0, Math.max(1, (high || 0) * 1.1)]) } },
      axes: [{ ...axis, values: (_, all) => all.map((s) => (days ? date : clock).format(s * 1000)) }, { ...axis, size: 62, values: (_, all) => all.map((v) => (v === null ? "" : `${v.toLocaleString("en")}${unit}`)) }],
      series: [{}, { label, stroke: colour("--brand"), width: 2, points: { show: data[0].length < 40 } }],
      hooks: { drawClear: [(u) => { shade(u, bands); ticks(u, marks); }], draw: [(u) => spots(u, dots)] },
    }, data, el);
  };
  el.style.minHeight = `${tall}px`; // the page does not jump while it is drawn again
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const size = new ResizeObserver(() => { if (plot && Math.abs(plot.width - el.clientWidth) > 4) plot.setSize({ width: Math.max(240, el.clientWidth), height: tall }); });
  scheme.addEventListener("change", draw);
  draw();
  size.observe(el);
  return {
    update(next) {
      ({ bands, dots } = next);
      data = [next.times, next.values];
      plot.setData(data);
    },
    end() { ended = true; scheme.removeEventListener("change", draw); size.disconnect(); plot.destroy(); },
  };
}

// ticks draws the marks behind the line.
function ticks(u, marks) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("--bar-off");
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  for (const at of marks) {
    const x = Math.round(u.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}

// within limits a time to what the chart shows, in pixels.
const within = (u, at) => Math.max(u.bbox.left, Math.min(u.bbox.left + u.bbox.width, u.valToPos(at, "x", true)));

// shade draws the bands behind the line.
function shade(u, bands) {
  u.ctx.save();
  u.ctx.fillStyle = colour("--warn-soft");
  for (const [from, to] of bands) u.ctx.fillRect(within(u, from), u.bbox.top, Math.max(2, within(u, to) - within(u, from)), u.bbox.height);
  u.ctx.restore();
}

// spots draws the dots at the bottom of the chart.
function spots(u, dots) {
  u.ctx.save();
  u.ctx.fillStyle = colour("--bar-bad");
  const radius = 3 * devicePixelRatio;
  for (const at of dots) {
    u.ctx.beginPath();
    u.ctx.arc(within(u, at), u.bbox.top + u.bbox.height - radius, radius, 0, 2 * Math.PI);
    u.ctx.fill();
  }
  u.ctx.restore();
}
