// The page: every panel is a function of the state, and is drawn again only
// when its part of the state has changed.

const $ = id => document.getElementById(id);
const number = v => v === null || v === undefined ? "–" : Math.round(v).toLocaleString("en").replace(/,/g, " ");
const percent = v => v === null || v === undefined ? "–" : (v * 100).toFixed(0) + " %";
const day = ms => new Date(ms).toISOString().slice(5, 10);
const clock = ms => new Date(ms).toTimeString().slice(0, 8);
function ago(seconds) {
  if (seconds < 90) return Math.max(0, Math.round(seconds)) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 129600) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

let state = null;
const drawn = {}, chosen = {}, scope = {space: "", task: ""};

// panel draws id from part when part has changed; what is empty keeps its text.
const emptyText = {};
function panel(id, part, draw, asking) {
  const box = $(id), now = JSON.stringify(part) + (chosen[id] || "") + scope.space + "\n" + scope.task + box.clientWidth + asking;
  if (drawn[id] === now) return;
  drawn[id] = now;
  if (!(id in emptyText)) emptyText[id] = box.innerHTML;
  const none = !part || part.length === 0;
  if (none) { box.innerHTML = asking ? '<p class="quiet">Asking.</p>' : emptyText[id]; return; }
  // What cannot be drawn costs its panel, not the page.
  try { redraw(box, part, draw); } catch (err) { box.innerHTML = `<p class="bad">This part cannot be shown: ${text(err.message)}</p>`; }
}

function redraw(box, part, draw) {
  // What is scrolled or has the keyboard's focus stays so.
  const before = [...box.querySelectorAll(".scroll")], left = before.map(e => e.scrollLeft), focus = before.indexOf(document.activeElement);
  draw(box, part);
  const after = box.querySelectorAll(".scroll");
  left.forEach((x, i) => { if (after[i]) after[i].scrollLeft = x; });
  if (focus >= 0 && after[focus]) after[focus].focus({preventScroll: true});
}

// choice keeps a list of names beside a panel's heading when there is more
// than one, and returns the chosen one.
function choice(id, names, label) {
  const section = $(id).parentElement;
  let box = section.querySelector("select");
  if (!names.includes(chosen[id])) chosen[id] = names[0];
  if (names.length < 2) { if (box) box.remove(); return chosen[id]; }
  if (!box) {
    box = document.createElement("select");
    box.className = "choice";
    box.setAttribute("aria-label", label);
    box.addEventListener("change", () => { chosen[id] = box.value; asked.next = 0; showPanels(); });
    section.querySelector("h2").after(box);
  }
  if (box.dataset.names !== names.join("\n")) {
    box.dataset.names = names.join("\n");
    box.innerHTML = names.map(n => `<option>${text(n)}</option>`).join("");
  }
  box.value = chosen[id];
  return chosen[id];
}
const unique = list => [...new Set(list)];

function drawTotals(t) {
  const lag = (state.lag || []).reduce((s, p) => s + p.messages, 0);
  const behind = (state.lag || []).reduce((s, p) => Math.max(s, p.seconds), 0);
  $("totals").innerHTML = [["predictions/s", short(t.rate)], ["predictions", number(t.predictions)], ["candidates", number(t.candidates)],
    ["labels", number(t.labels)], ["lag", number(lag) + (behind >= 1 ? `, ${ago(behind)}` : "")], ["dead letters", number(t.dead_letters)]]
    .map(([k, v]) => `<div><dt>${k}</dt><dd>${v}</dd></div>`).join("");
}

function stageCard(s) {
  const part = v => (v * 100).toFixed(1) + "%";
  const words = `busy ${percent(s.busy)}, waits for room ${percent(s.blocked)}, waits for input ${percent(s.idle)}`;
  return `<h3>${text(s.name)}</h3><div class="row"><span class="rate">${short(s.out || s.in)}/s</span>${s.bottleneck ? '<span class="mark">bottleneck</span>' : ""}</div>` +
    `<div class="bar" role="img" aria-label="${words}" title="${words}"><i class="busy" style="width:${part(s.busy)}"></i><i class="blocked" style="width:${part(s.blocked)}"></i></div>` +
    `<div class="row quiet"><span>${percent(s.busy)}</span><span>${s.capacity ? `queue ${s.queue}/${s.capacity}` : s.after && s.after.length ? "" : "reads"}</span></div>`;
}

// lanes places stages: the column is the longest way to a stage, and a stage
// goes on in the lane of the first stage that feeds it, if that lane is free.
function lanes(n, edges) {
  const column = new Array(n).fill(0), lane = [], taken = new Set();
  let free = 0;
  for (let i = 0; i < n; i++) {
    const from = edges.filter(e => e[1] === i).map(e => e[0]);
    for (const a of from) column[i] = Math.max(column[i], column[a] + 1);
    const before = from.find(a => !taken.has(a));
    lane[i] = before === undefined ? free++ : lane[before];
    if (before !== undefined) taken.add(before);
  }
  return {column, lane};
}

function drawFlow(box, stages) {
  const at = new Map(stages.map((s, i) => [s.name, i]));
  const edges = stages.flatMap((s, i) => (s.after || []).filter(a => at.has(a) && at.get(a) < i).map(a => [at.get(a), i]));
  const shape = JSON.stringify([stages.map(s => s.name), edges]);
  if (box.dataset.shape !== shape) {
    box.dataset.shape = shape;
    const {column, lane} = lanes(stages.length, edges), wide = Math.max(...column) + 1;
    // Without a word of what feeds what, the stages stand in their order.
    box.style.gridTemplateColumns = edges.length ? `repeat(${wide}, minmax(0, 1fr))` : "repeat(auto-fill, minmax(150px, 1fr))";
    box.style.columnGap = wide > 6 ? "24px" : "";
    box.innerHTML = '<svg aria-hidden="true"></svg>' + stages.map((s, i) =>
      `<article class="stage"${edges.length ? ` style="grid-column:${column[i] + 1};grid-row:${lane[i] + 1}"` : ""}></article>`).join("");
  }
  const cards = box.querySelectorAll(".stage");
  stages.forEach((s, i) => { cards[i].innerHTML = stageCard(s); cards[i].classList.toggle("slowest", s.bottleneck); });
  const origin = box.getBoundingClientRect();
  box.querySelector("svg").innerHTML = edges.map(([a, b]) => {
    const p = cards[a].getBoundingClientRect(), q = cards[b].getBoundingClientRect();
    const x1 = p.right - origin.left, y1 = p.top + p.height / 2 - origin.top, x2 = q.left - origin.left, y2 = q.top + q.height / 2 - origin.top, m = x2 - 17;
    return `<path d="M${x1} ${y1}H${m - 8}C${m} ${y1} ${m - 8} ${y2} ${m} ${y2}H${x2 - 2}m-5 -4l5 4l-5 4"/>`;
  }).join("");
}

const rowsOf = (head, rows) => `<div class="scroll" tabindex="0" role="group" aria-label="${text(head[0])} table"><table><thead><tr>${head.map(h => `<th scope="col">${h}</th>`).join("")}</tr></thead><tbody>${rows.map(r => `<tr>${r.join("")}</tr>`).join("")}</tbody></table></div>`;
const td = v => `<td>${v}</td>`;

const modelRows = models => rowsOf(["space", "model", "age", "networks", "labels", "steps"], models.map(m => [
  td(text(m.space) + (m.doing ? `<br><span class="quiet">${text(m.doing)}</span>` : "")),
  td((m.version ? text(m.space + "/" + m.version) : "none yet") + (m.pinned ? '<br><span class="mark">pinned</span>' : "")),
  td(m.made ? ago((state.time - m.made) / 1000) : "–"), td(number(m.networks)), td(number(m.labels)), td(short(m.steps))]));

function drawModels(box, all) {
  const models = all.filter(m => m.space === scope.space), others = all.filter(m => m.space !== scope.space);
  const open = box.querySelector("details[open]") ? " open" : "";
  box.innerHTML = (models.length ? modelRows(models) : "") +
    (others.length ? `<details${open}><summary>${others.length} more ${others.length > 1 ? "spaces" : "space"}</summary>${modelRows(others)}</details>` : "") +
    models.filter(m => (m.suspects || []).length).map(m =>
      `<p class="suspects">Labels of ${text(m.space)} that look like mistakes</p><ul class="suspects">${m.suspects.map(s => `<li>${text(s)}</li>`).join("")}</ul>`).join("");
}

// drawChoices draws what can be done about the model of each space.
function drawChoices(box, spaces) {
  box.innerHTML = spaces.map((m, i) => {
    const now = `${m.space}/${m.version}`, stored = m.stored || [], older = stored.find(s => +s.name.split("/").pop() < m.version);
    const others = stored.filter(s => s.name !== now);
    const act = (action, words, model) => `<button type="button" class="plain" data-space="${text(m.space)}" data-do="${action}"${model ? ` data-model="${text(model)}"` : ""}>${text(words)}</button>`;
    return `<div class="choices"><span class="quiet">${text(m.space)}${m.waiting ? `: ${text(m.waiting)} of the trainer waits` : ""}</span>` +
      (older ? act("roll-back", `Roll back to ${older.name}`, older.name) : "") +
      (others.length ? `<span><select id="promote-${i}" aria-label="Model of ${text(m.space)} to promote">${others.map(s => `<option value="${text(s.name)}">${text(s.name)}, ${day(s.made)} ${clock(s.made).slice(0, 5)}</option>`).join("")}</select> ` +
        `<button type="button" class="plain" data-space="${text(m.space)}" data-do="promote" data-from="promote-${i}">Promote</button></span>` : "") +
      (m.pinned ? act("release", "Release the pin") : "") + "</div>";
  }).join("");
}
const choicesOf = models => (models || []).filter(m => m.version && ((m.stored || []).length > 1 || m.pinned))
  .map(({space, version, pinned, waiting, stored}) => ({space, version, pinned, waiting, stored}));

// sure asks before every process answers differently.
let agreed = null;
function sure(title, words, yes, action) {
  $("sure-title").textContent = title;
  $("sure-text").textContent = words;
  $("sure-yes").textContent = yes;
  agreed = action;
  $("sure").showModal();
}
$("sure-no").addEventListener("click", () => $("sure").close());
$("sure-yes").addEventListener("click", () => { $("sure").close(); agreed(); });
$("choices").addEventListener("click", e => {
  const b = e.target.closest("button");
  if (!b) return;
  const {space, do: what, from} = b.dataset, model = from ? $(from).value : b.dataset.model;
  const pins = `${model} answers in every process of the group, from the next batch on. What the trainer promotes waits until the pin is released.`;
  if (what === "release") sure(`Release ${space}?`, "The model answers that the trainer promoted last, and each that it will promote.", "Release", () => choose({space, do: what}));
  else sure(`${what === "promote" ? "Promote" : "Roll back to"} ${model}?`, pins, what === "promote" ? "Promote" : "Roll back", () => choose({space, do: "promote", model}));
});
async function choose(body) {
  const said = $("chosen");
  said.className = "quiet";
  said.textContent = "asking";
  try {
    const r = await fetch("/api/models", {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    const answer = await r.text();
    if (!r.ok) throw new Error(answer);
    const m = JSON.parse(answer);
    said.textContent = `${clock(Date.now())} ${m.space}/${m.version} answers${m.pinned ? ", pinned" : ""}.`;
  } catch (err) {
    said.className = "bad";
    said.textContent = err.message;
  }
}

function drawLag(box, lag) {
  const open = lag.filter((p) => p.open > 0);
  const worst = [...lag].sort((a, b) => b.messages - a.messages).slice(0, 8);
  box.innerHTML = rowsOf(["partition", "messages", "oldest"], worst.map(p => [td(text(`${p.topic}/${p.partition}`)), td(number(p.messages)), td(ago(p.seconds))])) +
    (lag.length > worst.length ? `<p class="quiet">and ${lag.length - worst.length} more with less</p>` : "") +
    open.map(p => `<p class="quiet">${text(`${p.topic}/${p.partition}`)}: ${number(p.open)} cannot be read yet: a transaction of the publisher has been open for ${ago(p.open_seconds)}</p>`).join("");
}

function drawLosses(box, losses) {
  const list = losses.map(l => ({name: l.part, points: l.points || []}));
  box.innerHTML = lineChart(box.clientWidth, list, "step", `Training loss of ${scope.space}: ${list.map(l => l.name + " " + short(l.points.length ? l.points.at(-1)[1] : NaN)).join(", ")}`);
}

const signed = v => v === null || v === undefined ? "–" : v.toFixed(3);
const own = name => name.startsWith(scope.space + "/") ? name.slice(scope.space.length + 1) : name;

function drawScores(box, scores) {
  const withHistory = scores.filter(s => s.history && s.history.length > 1).slice(0, 4);
  const words = s => s.tau_random === null || s.tau_random === undefined ? "–" : `${signed(s.tau_random)} ± ${signed(s.tau_error)}`;
  box.innerHTML = rowsOf(["task", "tau", "of these labels", "top 5 %", "covered", "pairs"], scores.map(s => [
    td(text(own(s.task))), td(words(s)), td(signed(s.tau)), td(percent(s.p5)), td(percent(s.coverage)), td(number(s.pairs))])) +
    `<p class="quiet">A search trains what is predicted to be good, and among those alone an order is hard to tell. The first tau is what labels of candidates at random would give, from these labels and from how narrowly they were chosen; the second is of these labels as they are.</p>` +
    (withHistory.length ? lineChart(box.clientWidth, withHistory.map(s => ({name: own(s.task), points: s.history})), "labels", "Kendall tau as labels arrive: " + withHistory.map(s => `${own(s.task)} ${short(s.history.at(-1)[1])}`).join(", ")) : "");
}

function drawPairs(box, pairs) {
  const points = pairs.flatMap(p => p.points || []);
  box.innerHTML = pairsChart(box.clientWidth, points, `Predicted against true ${scope.task}, ${points.length} points with their 90 % intervals`);
}

function drawMap(box, maps) {
  const one = maps[0];
  box.innerHTML = mapChart(box.clientWidth, one.points || [], `${(one.points || []).length} architectures of ${one.space} on two principal components of their ${one.of || "surrogates"}`) +
    `<p class="quiet">${number((one.points || []).length)} of ${number(one.seen)} on two principal components of ${one.of || "surrogates"}</p>`;
}

function drawDead(box, dead) {
  box.innerHTML = `<ul class="dead">${dead.slice(0, 20).map(d => `<li><b>${text(d.class)}</b> <span>${text(d.reason)}</span><br><span class="quiet">${clock(d.time)} ${text(d.topic)}/${d.partition} offset ${d.offset} ${traceLink(d.trace)}</span><code>${text(d.value.slice(0, 160))}</code></li>`).join("")}</ul>`;
}

function drawAnswer(a) {
  const cells = (a.cells || []).map((c, i) => drawCell(c, `cell ${i + 1} of the candidate`)).join("");
  const drawing = cells ? `<div class="drawing">${cells}</div>` : "";
  if (a.reason) return `<p class="bad"><b>${text(a.class || "refused")}</b>: ${text(a.reason)}</p><p class="quiet">On the topic it would become a dead letter.</p>` + drawing;
  const p = a.prediction || {}, tasks = Object.entries(p.tasks || {});
  return `<p>${p.model ? "Model " + text(p.model) : "No model yet"}, architecture <code style="display:inline">${text(p.architecture || "")}</code></p>` +
    (tasks.length ? rowsOf(["task", "value", "90 % interval", "percentile", "among the best 1 %"], tasks.map(([t, v]) => v && v.value !== null && v.value !== undefined ?
      [td(text(t)), td(fine(v.value)), td(`${fine(v.low)} to ${fine(v.high)}`), td(short(v.percentile)), td(chance(v.top))] :
      [td(text(t)), `<td class="words" colspan="4">${text(v && v.reason || p.reason || "not answered yet")}</td>`])) : `<p class="quiet">No task has labels yet.</p>`) +
    drawing + `<details><summary>The message</summary><pre>${text(JSON.stringify(p, null, 2))}</pre></details>`;
}

function show() {
  if (!state) return;
  const phase = $("phase"), word = state.phase === "running" ? (state.ready ? "ready" : "not ready") : state.phase;
  if (phase.textContent !== word) phase.textContent = word;
  phase.className = "chip " + (state.ready ? "good" : "bad");
  $("about").textContent = `${state.version} · ${state.role} · up ${ago(state.uptime)}`;
  const reasons = Object.entries(state.reasons || {}).map(([k, v]) => `${k}: ${v}`).join("\n");
  if ($("reasons").textContent !== reasons) $("reasons").textContent = reasons;
  $("reasons").hidden = !reasons;
  showPanels();
}

function showPanels() {
  drawTotals(state.totals);
  chooseScope();
  const ofSpace = list => (list || []).filter(x => x.space === scope.space), task = scope.space + "/" + scope.task;
  const asking = scope.space && asked.of !== task;
  panel("progress", board && board.progress, drawProgress, asking);
  panel("front", frontOf(), drawFront);
  panel("best", bestOf(), drawBest, asking);
  panel("models", state.models, drawModels);
  panel("choices", choicesOf(ofSpace(state.models)), drawChoices);
  panel("decisions", decisions, drawDecisions, asking);
  panel("scores", (state.scores || []).filter(s => s.task.startsWith(scope.space + "/")), drawScores);
  panel("pairs", (state.pairs || []).filter(p => p.task === task), drawPairs);
  panel("flow", state.stages, drawFlow);
  panel("lag", state.lag, drawLag);
  panel("losses", ofSpace(state.losses), drawLosses);
  panel("map", ofSpace(state.maps), drawMap);
  panel("dead", state.dead_letters, drawDead);
  askBoard();
}

// The stream is closed while nobody sees the page. The browser connects again
// by itself when the server has been away.
let stream = null;
function connect() {
  if (stream) stream.close();
  stream = new EventSource("/events");
  stream.onmessage = e => {
    try { state = JSON.parse(e.data); } catch (err) { unread("the state is not JSON: " + err.message); return; }
    $("main").classList.remove("unread");
    requestAnimationFrame(show);
  };
  stream.addEventListener("unreadable", e => unread(e.data));
  stream.onerror = () => {
    say("no connection, trying again");
    if (stream.readyState === EventSource.CLOSED) { explain(); setTimeout(connect, 2000); }
  };
}
function say(words) {
  $("phase").textContent = words;
  $("phase").className = "chip bad";
}
// unread says that the page does not show the present state, and why.
function unread(why) {
  say("state not read");
  $("main").classList.add("unread");
  $("reasons").textContent = `The state of this process could not be read; what stands below is not of now. ${why}`;
  $("reasons").hidden = false;
}
// explain asks why the stream was refused.
async function explain() {
  try {
    const r = await fetch("/api/state");
    if (!r.ok) unread(`${r.status}: ${await r.text()}`);
  } catch { /* nobody answers, as the chip says */ }
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream.close(); stream = null; } else if (!stream) connect();
});
window.addEventListener("resize", () => requestAnimationFrame(show));

$("ask").addEventListener("submit", async e => {
  e.preventDefault();
  const box = $("answer");
  box.textContent = "asking";
  try {
    const r = await fetch("/api/paste", {method: "POST", headers: {"Content-Type": "application/json"}, body: $("candidate").value});
    const body = await r.text();
    box.innerHTML = r.ok ? drawAnswer(JSON.parse(body)) : `<p class="bad">${text(body)}</p>`;
  } catch (err) {
    box.innerHTML = `<p class="bad">The server cannot be reached (${text(err.message)}): is archflow still running?</p>`;
  }
});
$("candidate").addEventListener("keydown", e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) $("ask").requestSubmit(); });
connect();
