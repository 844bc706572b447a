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

const isEnd = op => op === "input" || op === "output";
const noted = (op, note) => note ? `${op} (${note})` : op;

// folded returns a large cell with every chain of operations, of which each feeds
// the next alone, as one node: {ops, edges, titles}.
function folded(cell) {
  const n = cell.ops.length, feeds = new Array(n).fill(0), into = Array.from({length: n}, () => []);
  for (const [a, b] of cell.edges) { feeds[a]++; into[b].push(a); }
  const group = [], groups = [];
  for (let v = 0; v < n; v++) {
    const u = into[v].length === 1 ? into[v][0] : -1;
    if (u >= 0 && feeds[u] === 1 && !isEnd(cell.ops[u]) && !isEnd(cell.ops[v])) groups[group[v] = group[u]].push(v);
    else group[v] = groups.push([v]) - 1;
  }
  const word = g => {
    const ops = g.map(v => cell.ops[v]);
    if (g.length === 1) return ops[0];
    return new Set(ops).size === 1 ? `${shortOperation(ops[0])} × ${g.length}` : `${shortOperation(ops[0])} + ${g.length - 1}`;
  };
  const edges = cell.edges.map(([a, b]) => [group[a], group[b]]).filter(([a, b]) => a !== b);
  return {
    ops: groups.map(word), edges: [...new Map(edges.map(e => [e.join(), e])).values()],
    kinds: groups.map(g => cell.ops[g[0]]),
    titles: groups.map(g => g.slice(0, 30).map(v => noted(cell.ops[v], cell.notes && cell.notes[v])).join("\n") + (g.length > 30 ? `\nand ${g.length - 30} more` : "")),
  };
}

// attributesOf lists the operations that have attributes, those that follow each
// other and are the same once.
function attributesOf(cell) {
  if (!cell.notes) return "";
  const lines = [];
  cell.ops.forEach((op, v) => {
    if (!cell.notes[v]) return;
    const line = noted(op, cell.notes[v]), last = lines[lines.length - 1];
    if (last && last.line === line) last.times++;
    else lines.push({line, times: 1});
  });
  const item = l => text(l.line) + (l.times > 1 ? ` × ${l.times}` : "");
  const more = lines.length > 200 ? `\nand ${lines.length - 200} more` : "";
  return `<details><summary>attributes</summary><pre class="attributes">${lines.slice(0, 200).map(item).join("\n")}${more}</pre></details>`;
}

const drawnNodes = 40; // that fit into the width of a card with words

// drawCell returns a cell as SVG, its hyperparameters and its attributes as text.
// A large one is folded and scrolls: what is drawn smaller is not read.
function drawCell(cell, name) {
  const whole = cell.hyperparameters ? `<p class="quiet knobs">${text(cell.hyperparameters)}</p>` : "";
  const n = cell.ops.length;
  if (n === 0) return whole;
  if (n > 2000) return `${whole}<p class="quiet">${n} nodes: too many to draw.</p>${attributesOf(cell)}`;
  const large = n > drawnNodes;
  const shown = large ? folded(cell) : {ops: cell.ops.map(shortOperation), edges: cell.edges, kinds: cell.ops, titles: cell.ops.map((op, v) => noted(op, cell.notes && cell.notes[v]))};
  const {layer, row, paths, columns} = layers(shown.ops.length, shown.edges);
  const nodes = shown.ops.length;
  const letters = Math.max(5, ...shown.ops.map(op => op.length));
  const w = letters * (large ? 7.2 : 6.6) + 8, h = 22, dx = w + 14, dy = 28;
  const tallest = Math.max(...columns.map(c => c.length));
  const width = (columns.length - 1) * dx + w + 4, height = (tallest - 1) * dy + h + 4;
  const x = v => 2 + w / 2 + layer[v] * dx, y = v => height / 2 + row[v] * dy;
  let out = "";
  for (const path of paths) {
    let d = "";
    path.forEach((v, i) => {
      const hidden = v >= nodes, left = hidden ? x(v) - w / 4 : x(v) - w / 2, right = hidden ? x(v) + w / 4 : x(v) + w / 2;
      if (i === 0) { d = `M${right} ${y(v)}`; return; }
      const from = path[i - 1], start = from >= nodes ? x(from) + w / 4 : x(from) + w / 2, mid = (start + left) / 2;
      d += `C${mid} ${y(from)} ${mid} ${y(v)} ${left} ${y(v)}` + (hidden ? `H${right}` : "");
    });
    out += `<path d="${d}"/>`;
  }
  shown.ops.forEach((op, v) => {
    const plain = isEnd(shown.kinds[v]) ? ' class="plain"' : "";
    out += `<g><title>${text(shown.titles[v])}</title><rect x="${x(v) - w / 2}" y="${y(v) - h / 2}" width="${w}" height="${h}" rx="5"${plain} style="--h:${hue(shown.kinds[v])}"/><text x="${x(v)}" y="${y(v)}">${text(op)}</text></g>`;
  });
  const label = `${text(name)}: ${n} operations, ${cell.edges.length} edges: ${text(cell.ops.slice(0, 40).join(", "))}`;
  const size = large ? `width:${width}px;height:${height}px` : `max-width:${Math.max(width, 120)}px`;
  const svg = `<svg class="cell" role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}" style="${size}">${out}</svg>`;
  const drawing = large ? `<div class="strip" tabindex="0" role="group" aria-label="${text(name)}, scrolls">${svg}</div><p class="quiet">${n} operations, ${nodes} as drawn: a chain is one box</p>` : svg;
  return whole + drawing + attributesOf(cell);
}
