// Charts, drawn by uPlot (uplot/LICENSE.txt).
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// line draws a line over time in an element. times are seconds since 1970, values are
// numbers or null. marks are times at which a thin vertical line stands. It returns an
// object with update, which draws new values, and end.
export function line(el, { label, unit = "", times, values, marks = [], range, tall = 240, days = false }) {
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
      hooks: { drawClear: [(u) => ticks(u, marks)] },
    }, data, el);
  };
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const size = new ResizeObserver(() => { if (plot && Math.abs(plot.width - el.clientWidth) > 4) plot.setSize({ width: Math.max(240, el.clientWidth), height: tall }); });
  scheme.addEventListener("change", draw);
  draw();
  size.observe(el);
  return {
    update(t, v) { data = [t, v]; plot.setData(data); },
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
