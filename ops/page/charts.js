// Plots as SVG text. Each chart is one path a colour, whatever the number of
// points.

function short(v) {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  const a = Math.abs(v);
  if (a >= 1e9) return (v / 1e9).toPrecision(3) + " G";
  if (a >= 1e6) return (v / 1e6).toPrecision(3) + " M";
  if (a >= 1e4) return (v / 1e3).toPrecision(3) + " k";
  if (a >= 100 || Number.isInteger(v)) return v.toFixed(0);
  if (a >= 10) return v.toFixed(1);
  if (a >= 1) return v.toFixed(2);
  if (a >= .001) return v.toFixed(3);
  return v === 0 ? "0" : v.toExponential(1);
}

// fine is for values that are compared with each other: four digits.
const fine = v => v === null || v === undefined || Math.abs(v) >= 1e4 || Math.abs(v) < 1e-3 ? short(v) : String(+v.toPrecision(4));

// chance says a probability, – when it is not known.
const chance = p => p === undefined || p === null ? "–" : p < 1e-4 ? "less than 0.01 %" : `${+(100 * p).toPrecision(2)} %`;

const tick = v => Math.abs(v) >= 1e4 ? short(v).replace(/\.0+(?= )/, "") : String(+v.toPrecision(3));

// ticks returns about n round numbers between low and high.
function ticks(low, high, n) {
  const rough = (high - low) / n, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough);
  const out = [];
  // Counted, because a step below the last bit of v would never reach high.
  for (let i = 0, first = Math.ceil(low / step), v; i < 50 && (v = (first + i) * step) <= high + step * 1e-9; i++) out.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return out;
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
  if (low > high) return [0, 1];
  // Far from the largest number, so that no difference overflows.
  low = Math.max(Math.min(low, 1e300), -1e300);
  high = Math.max(Math.min(high, 1e300), -1e300);
  if (low === high) { const pad = Math.abs(low) * .1 || .5; return [low - pad, high + pad]; }
  return [low, high];
}

// frame draws axes and returns the drawing and the scales.
function frame(width, xs, ys, xName, yName) {
  const height = 220, left = 46, right = 8, top = 8, bottom = 34;
  const share = (v, range) => Math.max(-9, Math.min(9, (v - range[0]) / (range[1] - range[0] || 1)));
  const x = v => left + share(v, xs) * (width - left - right);
  const y = v => height - bottom - share(v, ys) * (height - top - bottom);
  let out = "";
  for (const v of ticks(ys[0], ys[1], 6)) out += `<path class="grid" d="M${left} ${y(v)}H${width - right}"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${tick(v)}</text>`;
  for (const v of ticks(xs[0], xs[1], Math.max(2, Math.floor(width / 110)))) out += `<text x="${x(v)}" y="${height - 18}" text-anchor="middle">${tick(v)}</text>`;
  out += `<text x="${(left + width - right) / 2}" y="${height - 2}" text-anchor="middle">${text(xName)}</text>`;
  if (yName) out += `<text x="${left}" y="${top + 2}" dx="4" dy="6">${text(yName)}</text>`;
  return {out, x, y, height};
}

const svg = (width, height, label, body) => `<svg class="chart" role="img" aria-label="${text(label)}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none">${body}</svg>`;

// lineChart draws series [{name, points: [[x, y], ...]}] with a legend.
function lineChart(width, series, xName, label, ys) {
  const all = series.flatMap(s => s.points);
  const f = frame(width, extent(all.map(p => p[0])), ys || extent(all.map(p => p[1])), xName);
  let body = f.out, legend = "";
  series.forEach((s, i) => {
    const colour = `var(--c${i % 4 + 1})`;
    const d = s.points.filter(p => p.every(Number.isFinite)).map((p, j) => (j ? "L" : "M") + f.x(p[0]).toFixed(1) + " " + f.y(p[1]).toFixed(1)).join("");
    const dash = i < 4 ? ["", "6 3", "2 3", "8 3 2 3"][i] : "";
    body += `<path class="lines" style="stroke:${colour}" stroke-dasharray="${dash}" d="${d}"/>`;
    const last = s.points.length ? s.points[s.points.length - 1][1] : NaN;
    legend += `<span class="key" style="background:${colour}"></span>${text(s.name)} ${short(last)} `;
  });
  return `<p class="quiet">${legend}</p>` + svg(width, f.height, label, body);
}

const dots = (points, f) => points.map(p => `M${f.x(p[0]).toFixed(1)} ${f.y(p[1]).toFixed(1)}h0`).join("");

// pairsChart draws predictions against truth, the intervals behind them.
function pairsChart(width, points, label) {
  points = points.filter(p => p.every(Number.isFinite));
  const range = extent(points.flatMap(p => [p[0], p[1]])), pad = (range[1] - range[0]) * .05;
  const scale = [range[0] - pad, range[1] + pad], f = frame(width, scale, scale, "true", "predicted");
  const inside = v => Math.min(Math.max(v, scale[0]), scale[1]);
  const bars = points.map(p => `M${f.x(p[1]).toFixed(1)} ${f.y(inside(p[2])).toFixed(1)}V${f.y(inside(p[3])).toFixed(1)}`).join("");
  const body = f.out + `<path class="grid" style="stroke:var(--quiet)" stroke-dasharray="4 4" d="M${f.x(scale[0])} ${f.y(scale[0])}L${f.x(scale[1])} ${f.y(scale[1])}"/>` +
    `<path style="stroke:var(--s0);fill:none;opacity:.6" d="${bars}"/><path class="dots" style="stroke:var(--c1)" d="${dots(points.map(p => [p[1], p[0]]), f)}"/>`;
  return svg(width, f.height, label, body);
}

// mapChart draws points [x, y, percentile], darker (lighter at night) for better.
function mapChart(width, points, label) {
  points = points.filter(p => p.every(Number.isFinite));
  const height = 220, groups = [[], [], [], [], []];
  for (const p of points) groups[p[2] < 0 ? 0 : p[2] < 50 ? 1 : p[2] < 80 ? 2 : p[2] < 95 ? 3 : 4].push(p);
  // A few far away must not press all others together: they stand on the edge.
  const middle = axis => { const s = points.map(p => p[axis]).sort((a, b) => a - b), cut = Math.floor(s.length / 100); return extent(s.slice(cut, s.length - cut)); };
  const scale = (range, room) => v => 6 + Math.min(Math.max((v - range[0]) / (range[1] - range[0]), 0), 1) * (room - 12);
  const f = {x: scale(middle(0), width), y: scale(middle(1), height)};
  const body = groups.map((g, i) => `<path class="dots" style="stroke:var(--s${i});stroke-width:${i === 4 ? 7 : 5}" d="${dots(g, f)}"/>`).join("");
  const names = ["no prediction", "lower half", "above 50 %", "above 80 %", "best 5 %"];
  const legend = names.map((s, i) => groups[i].length ? `<span class="key" style="background:var(--s${i})"></span>${s} ` : "").join("");
  return svg(width, height, label, body) + `<p class="quiet">${legend}</p>`;
}

// frontChart draws trained networks and the predicted front of two tasks.
function frontChart(width, f, label) {
  const trained = f.trained.filter(p => p.every(Number.isFinite)), front = f.predicted.filter(p => p.every(Number.isFinite)).sort((a, b) => a[0] - b[0]);
  // What was trained far from the front must not press it together.
  const all = front.length > 1 ? front : trained, wide = axis => { const [low, high] = extent(all.map(p => p[axis])), pad = (high - low) * .25; return [low - pad, high + pad]; };
  const xs = wide(0), ys = wide(1), g = frame(width, xs, ys, f.tasks[0], f.tasks[1]);
  const inside = p => p[0] >= xs[0] && p[0] <= xs[1] && p[1] >= ys[0] && p[1] <= ys[1];
  const line = front.map((p, i) => (i ? "L" : "M") + g.x(p[0]).toFixed(1) + " " + g.y(p[1]).toFixed(1)).join("");
  return svg(width, g.height, label, g.out + `<path class="lines" style="stroke:var(--c2)" d="${line}"/><path class="dots" style="stroke:var(--c2)" d="${dots(front, g)}"/><path class="dots" style="stroke:var(--c1)" d="${dots(trained.filter(inside), g)}"/>`);
}
