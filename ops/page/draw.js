// Graphs of operations, drawn from left to right.

const text = s => String(s).replace(/[&<>"']/g, c => "&#" + c.charCodeAt(0) + ";");

// layers places the nodes of a DAG: layer[v] is the longest path to v, and
// chains of unseen nodes stand for edges that pass layers, so that no edge runs
// through a node. Returns {layer, rows, paths}.
function layers(n, edges) {
  const layer = new Array(n).fill(0), into = Array.from({length: n}, () => []);
  for (const [a, b] of edges) into[b].push(a);
  for (let v = 0; v < n; v++) for (const u of into[v]) layer[v] = Math.max(layer[v], layer[u] + 1);
  const links = [], paths = [];
  for (const [a, b] of edges) {
    const path = [a];
    for (let l = layer[a] + 1; l < layer[b]; l++) { layer.push(l); path.push(layer.length - 1); }
    path.push(b);
    for (let i = 1; i < path.length; i++) links.push([path[i - 1], path[i]]);
    paths.push(path);
  }
  const columns = [];
  layer.forEach((l, v) => (columns[l] = columns[l] || []).push(v));
  // Each node moves to the mean place of its neighbours, to and fro.
  const row = new Array(layer.length).fill(0);
  const place = c => c.forEach((v, i) => { row[v] = i - (c.length - 1) / 2; });
  columns.forEach(place);
  const near = side => { const m = Array.from({length: layer.length}, () => []); for (const l of links) m[l[1 - side]].push(l[side]); return m; };
  const before = near(0), after = near(1);
  const mean = list => list.reduce((s, v) => s + row[v], 0) / list.length;
  for (let pass = 0; pass < 6; pass++) {
    const toward = pass % 2 ? after : before, order = pass % 2 ? [...columns].reverse() : columns;
    for (const c of order) {
      const at = new Map(c.map(v => [v, toward[v].length ? mean(toward[v]) : row[v]]));
      c.sort((a, b) => at.get(a) - at.get(b));
      place(c);
    }
  }
  return {layer, row, paths, columns};
}

function shortOperation(op) {
  const s = op.replace(/^nor_/, "").replace(/_/g, " ").replace(/^(sep|dil|avg|max) (conv|pool) /, "$1 ").replace(/^skip connect$/, "skip");
  return s.length > 11 ? s.slice(0, 10) + "…" : s;
}

// hue gives operations colours far from each other, in the order in which they
// are met.
const hues = new Map();
function hue(op) {
  if (!hues.has(op)) hues.set(op, hues.size);
  return (210 + hues.get(op) * 137.5) % 360;
}

// drawCell returns a cell as SVG.
function drawCell(cell, name) {
  const n = cell.ops.length;
  if (n > 300) return `<p class="quiet">${n} nodes: too many to draw.</p>`;
  const {layer, row, paths, columns} = layers(n, cell.edges);
  const small = n > 40;
  // Boxes as wide as the longest word needs: what is drawn smaller is not read.
  const letters = Math.max(5, ...cell.ops.map(op => shortOperation(op).length));
  const w = small ? 8 : letters * 6.6 + 8, h = small ? 8 : 22, dx = small ? 16 : w + 14, dy = small ? 14 : 28;
  const tallest = Math.max(...columns.map(c => c.length));
  const width = (columns.length - 1) * dx + w + 4, height = (tallest - 1) * dy + h + 4;
  const x = v => 2 + w / 2 + layer[v] * dx, y = v => height / 2 + row[v] * dy;
  let out = "";
  for (const path of paths) {
    let d = "";
    path.forEach((v, i) => {
      const hidden = v >= n, left = hidden ? x(v) - w / 4 : x(v) - w / 2, right = hidden ? x(v) + w / 4 : x(v) + w / 2;
      if (i === 0) { d = `M${right} ${y(v)}`; return; }
      const from = path[i - 1], start = from >= n ? x(from) + w / 4 : x(from) + w / 2, mid = (start + left) / 2;
      d += `C${mid} ${y(from)} ${mid} ${y(v)} ${left} ${y(v)}` + (hidden ? `H${right}` : "");
    });
    out += `<path d="${d}"/>`;
  }
  cell.ops.forEach((op, v) => {
    const plain = op === "input" || op === "output" ? ' class="plain"' : "";
    const shape = small ? `<circle cx="${x(v)}" cy="${y(v)}" r="4"${plain} style="--h:${hue(op)}"/>`
      : `<rect x="${x(v) - w / 2}" y="${y(v) - h / 2}" width="${w}" height="${h}" rx="5"${plain} style="--h:${hue(op)}"/><text x="${x(v)}" y="${y(v)}">${text(shortOperation(op))}</text>`;
    out += `<g><title>${text(cell.notes && cell.notes[v] ? `${op} (${cell.notes[v]})` : op)}</title>${shape}</g>`;
  });
  return `<svg class="cell" role="img" aria-label="${text(name)}: ${n} operations, ${cell.edges.length} edges: ${text(cell.ops.slice(0, 40).join(", "))}" viewBox="0 0 ${width} ${height}" style="max-width:${Math.max(width, 120)}px">${out}</svg>`;
}
