// The part of the page for those who search: one space and task for all of it, the
// best found and predicted, two tasks against each other, and what the trainer has
// decided. It comes from /api/board, where the process has one.

let board = null, decisions = [], found = null;

// remembered is the choice that the address holds.
const remembered = new URLSearchParams(location.hash.slice(1));

function options(box, names, value) {
  if (box.dataset.names !== names.join("\n")) {
    box.dataset.names = names.join("\n");
    box.innerHTML = names.map(n => `<option value="${text(n)}">${text(n)}</option>`).join("");
  }
  box.value = value;
  box.title = value;
}

// tasksOf lists the tasks that are known of a space.
function tasksOf(space) {
  const below = list => (list || []).filter(x => x.task.startsWith(space + "/")).map(x => x.task.slice(space.length + 1));
  const model = (state.models || []).find(m => m.space === space);
  return unique([...(model && model.tasks || []), ...(board && board.space === space ? board.tasks : []), ...below(state.scores), ...below(state.pairs)]).sort();
}

// chooseScope keeps the choice of space and task, or makes one: that of the
// address, the space with most labels.
function chooseScope() {
  const spaces = (state.models || []).map(m => m.space), most = [...(state.models || [])].sort((a, b) => b.labels - a.labels || b.networks - a.networks)[0];
  if (!spaces.includes(scope.space)) scope.space = spaces.includes(remembered.get("space")) ? remembered.get("space") : most ? most.space : "";
  const tasks = tasksOf(scope.space);
  if (!tasks.includes(scope.task)) scope.task = tasks.includes(remembered.get("task")) ? remembered.get("task") : tasks[0] || "";
  options($("space"), spaces, scope.space);
  options($("task"), tasks, scope.task);
  $("scope").hidden = !scope.space;
  if (board && (board.space !== scope.space || board.task !== scope.task)) { board = null; found = null; drawFound(); }
}

function chosenScope(change) {
  Object.assign(scope, change);
  if (change.space !== undefined) { decisions = []; scope.task = ""; }
  board = null;
  chooseScope();
  history.replaceState(null, "", "#" + new URLSearchParams(scope));
  asked.next = 0;
  showPanels();
}
$("space").addEventListener("change", e => chosenScope({space: e.target.value}));
$("task").addEventListener("change", e => chosenScope({task: e.target.value}));

// askBoard asks for the board again when something may have changed, and never for
// more than a tenth of the time.
const asked = {busy: false, next: 0, key: "", none: false, of: ""};
async function askBoard() {
  const model = (state.models || []).find(m => m.space === scope.space), now = performance.now();
  const key = JSON.stringify([scope, chosen.front, model && model.version, state.totals.labels, found && found.id]);
  if (!scope.space || asked.busy || now < asked.next || key === asked.key && now < asked.next + 15000) return;
  asked.busy = true;
  asked.next = Infinity; // a choice that is made meanwhile sets it to 0
  asked.key = key;
  const space = scope.space, q = {space, k: 12};
  if (scope.task) q.task = scope.task;
  if (chosen.front) q.with = chosen.front;
  if (found && found.id) q.id = found.id;
  try {
    const [b, d] = await Promise.all([asked.none ? {ok: false} : fetch("/api/board?" + new URLSearchParams(q)), fetch("/api/models?" + new URLSearchParams({space}))]);
    asked.none = asked.none || b.status === 501; // a trainer alone has no board
    const got = b.ok ? await b.json() : null, said = d.ok ? await d.json() : null;
    if (space === scope.space && (q.task || "") === scope.task) asked.of = space + "/" + scope.task;
    if (space === scope.space) { // what could not be answered this time stays as it was
      if (got || asked.none) board = got && (!scope.task || got.task === scope.task) ? got : null;
      if (said) decisions = said.decisions || said || [];
      if (found && board && q.id === found.id) { found.list = board.found || []; drawFound(); }
    }
  } catch { /* nobody answers, as the chip says */ }
  asked.busy = false;
  if (asked.next) asked.next = performance.now() + Math.max(1000, 10 * (performance.now() - now));
  showPanels();
}

function drawProgress(box, points) {
  const task = board.task, last = points.at(-1)[1], steps = [];
  points.forEach((p, i) => { if (i) steps.push([p[0], points[i - 1][1]]); steps.push(p); });
  box.innerHTML = `<p><span class="value">${fine(last)}</span> <span class="quiet">best of ${number(board.labels)} ${text(task)}, of ${number(board.networks)} networks known</span></p>` +
    lineChart(box.clientWidth, [{name: "best found", points: steps}], "labels", `Best ${task} found against the number of labels: ${fine(last)} after ${board.labels}`);
}

// frontOf is what the front's panel shows: the tasks to weigh against, and the
// points once one is chosen.
function frontOf() {
  const others = tasksOf(scope.space).filter(t => t !== scope.task);
  if (!others.length || !scope.task) { delete chosen.front; const box = $("front").parentElement.querySelector("select"); if (box) box.remove(); return null; }
  if (!others.includes(chosen.front)) chosen.front = others[0];
  return {others, front: board && board.front};
}

function drawFront(box, part) {
  const other = choice("front", part.others, "Task beside it"), f = part.front;
  if (!f || f.tasks[1] !== other) { box.innerHTML = `<p class="quiet">${text(scope.task)} and ${text(other)}: asking</p>`; return; }
  if (!f.predicted.length && !f.trained.length) { box.innerHTML = `<p class="quiet">No network has labels of both ${text(scope.task)} and ${text(other)}, and no model answers both.</p>`; return; }
  box.innerHTML = frontChart(box.clientWidth, f, `${f.trained.length} trained networks and the ${f.predicted.length} that none is known or predicted to be better than, by ${f.tasks[0]} and ${f.tasks[1]}`) +
    `<p class="quiet"><span class="key" style="background:var(--c1)"></span>trained <span class="key" style="background:var(--c2)"></span>front, predicted where not trained; ${f.tasks.map((t, i) => `${f.minimise[i] ? "less" : "more"} ${text(t)}`).join(" and ")} is better</p>`;
}

const traceLink = trace => trace && state.trace_url ? ` <a href="${text(state.trace_url.replace("{trace}", trace))}" rel="noreferrer">trace</a>` : "";

// bestOf is the board of the best: that of /api/board, or, where this process has
// none, what was answered since it started.
function bestOf() {
  if (board && board.best.length) return board.best.map(b => ({id: b.candidate.id ?? b.candidate.architecture, network: b.candidate.network, cells: b.cells, trace: b.trace, json: b.candidate,
    said: (b.candidate.tasks || {})[scope.task], label: (b.candidate.labels || {})[scope.task]}));
  return (state.best || []).filter(b => b.space === scope.space && b.task === scope.task).map(b => ({id: b.id, network: b.network, cells: b.cells, said: b, json: b, label: b.labelled ? b.label : undefined}));
}

const idOf = id => typeof id === "string" ? id : JSON.stringify(id);

function bestCard(b, title, i, list) {
  const p = b.said;
  return `<li><div class="row"><h3>${text(title)}</h3><button type="button" class="plain small" data-list="${list}" data-copy="${i}" aria-label="Copy ${text(idOf(b.id))} as JSON">Copy</button></div>` +
    (b.label !== undefined && b.label !== null ? `<p><b class="truth">trained: ${fine(b.label)}</b></p>` : "") +
    (p && p.value !== null && p.value !== undefined ? `<p><span class="value">${fine(p.value)}</span> <span class="quiet">${fine(p.low)} to ${fine(p.high)}, above ${p.percentile === null || p.percentile === undefined ? "–" : Math.floor(p.percentile * 100) / 100} %${p.top === undefined || p.top === null ? "" : `, among the best 1 % with ${chance(p.top)}`}</span></p>` : `<p class="quiet">not predicted yet</p>`) +
    (b.trace ? `<p class="quiet">${traceLink(b.trace)}</p>` : "") +
    (b.cells || []).map((c, j) => drawCell(c, `${idOf(b.id)} cell ${j + 1}`)).join("") + "</li>";
}

let shownBest = [];
function drawBest(box, best) {
  shownBest = best;
  box.innerHTML = `<ol class="board">${best.map((b, i) => bestCard(b, `${i + 1}. ${idOf(b.id)}`, i, "best")).join("")}</ol>`;
}

function drawFound() {
  const box = $("found");
  if (!found) { box.innerHTML = ""; return; }
  if (!found.list) { box.innerHTML = `<p class="quiet">looking for ${text(found.id)}</p>`; return; }
  if (!found.list.length) { box.innerHTML = `<p class="bad">No candidate ${text(found.id)} of ${text(scope.space)} is known to this process.</p>`; return; }
  found.shown = found.list.map(b => ({id: b.candidate.id ?? b.candidate.architecture, cells: b.cells, trace: b.trace, json: b.candidate, said: (b.candidate.tasks || {})[scope.task], label: (b.candidate.labels || {})[scope.task]}));
  box.innerHTML = `<ol class="board">${found.shown.map((b, i) => bestCard(b, idOf(b.id), i, "found")).join("")}</ol>`;
}

$("search").addEventListener("submit", e => {
  e.preventDefault();
  const id = $("wanted").value.trim();
  found = id ? {id, list: null} : null;
  asked.next = 0;
  drawFound();
  if (found) askBoard();
});

// copy puts a value on the clipboard as JSON, also where the page came over plain
// HTTP and browsers offer no clipboard.
async function copy(value) {
  const json = JSON.stringify(value, null, 2);
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(json); else throw new Error("no clipboard");
  } catch {
    const area = document.createElement("textarea");
    area.value = json;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) { $("copied").textContent = "The browser does not let this page copy."; return; }
  }
  $("copied").textContent = Array.isArray(value) ? `${value.length} candidates are copied.` : "The candidate is copied.";
}
$("copy-best").addEventListener("click", () => copy(shownBest.map(b => b.json)));
for (const id of ["best", "found"]) $(id).addEventListener("click", e => {
  const b = e.target.closest("button[data-copy]");
  if (b) copy((b.dataset.list === "best" ? shownBest : found.shown)[+b.dataset.copy].json);
});

function drawDecisions(box, list) {
  box.innerHTML = `<ol class="decisions scroll" tabindex="0" aria-label="Decisions, newest first">${list.slice(0, 30).map(d =>
    `<li><b class="${d.decision === "promoted" ? "good" : ""}">${text(d.decision)}</b> ${text(d.task)} <span class="quiet">${clock(d.time)}${d.model ? `, ${text(d.model)} answers` : ""}${d.labels ? ` with ${number(d.labels)} labels` : ""}${d.tau === null || d.tau === undefined ? "" : `, tau ${d.tau.toFixed(3)} held out`}</span><br>${text(d.why)}</li>`).join("")}</ol>`;
}
