// The page of `chatlab lab play`: shows a session of the simulator, and sends what the person does.
//
// Messages of the stream: `start` (a new trace: forget all rows), `rows` (columns, see rows.js) and
// `state` (see lab/web/play_page.py). What is done goes to `act`, which may refuse it with one line.

import { clock } from "./axis.js";
import { Diagram } from "./diagram.js";
import { Matrix, Timelines, holdings } from "./matrix.js";
import { $, make, said } from "./page.js";
import { Rows } from "./rows.js";

/** @typedef {{what: string, node?: string, cuts?: [string, string][], [more: string]: unknown}} Fault */
/** @typedef {{id: number, fault: Fault, text: string}} Active */
/** @typedef {{name: string, life: number, health: string, events: number | null, root: string,
 *   ahead_ms: number}} Node */
/** @typedef {[rule: string, name: string, now: string, healed: string, reason: string, seqs: number[]]} Standing */
/** @typedef {{scenario: string, seed: number, planted: string, now_us: number, plan_us: number, speed: number,
 *   said: string, branch: string, branches: [name: string, parent: string, from: number, end: number][],
 *   nodes: Node[], active: Active[],
 *   judgement: {at_us: number, now: boolean, same_trace: boolean, outcome: string, rows: Standing[]} | null}} State */

const S = 1e6, SPAN_US = 4 * S, SPEEDS = [0.001, 0.01, 0.1, 1, 10];
const CLASS = /** @type {Record<string, string>} */ ({ pass: "good", fail: "bad", unknown: "muted" });
// What can go wrong with a node, and with all links: each button begins it, and ends it.
const OF_NODE = /** @type {[string, (node: string) => Fault][]} */ ([
  ["Kill", (node) => ({ what: "kill", node })],
  ["Power off", (node) => ({ what: "kill", node, how: "power" })],
  ["Pause", (node) => ({ what: "pause", node })],
  ["Cut off", (node) => ({ what: "partition", shape: "one", cuts: others(node).flatMap((one) => pair(node, one)) })],
  ["Skew", (node) => ({ what: "clock_offset", node, by_ms: 60000 })],
  ["Slow disk", (node) => ({ what: "slow_sync", node, add_us: 500000 })],
]);
const OF_ALL = /** @type {[string, Fault][]} */ ([
  ["Lose 30 %", { what: "loss", share: 0.3 }],
  ["Delay 200 ms", { what: "latency", add_us: 200000 }],
  ["Repeat 30 %", { what: "duplicate", share: 0.3, delay_us: 200000 }],
  ["Reorder 30 %", { what: "reorder", share: 0.3, delay_us: 200000 }],
]);
// What else one can do: where its button is, its name, its key, what it does.
const DEEDS = /** @type {[string, string, string, () => unknown][]} */ ([
  ["time", "Play", " ", () => act(state.speed ? { do: "hold" } : { do: "play", speed: Number($("speed").value) })],
  ["time", "Next event", "ArrowRight", () => act({ do: "step" })],
  ["time", "Next change", "Shift+ArrowRight", () => act({ do: "step", change: true })],
  ["time", "+1 s", ".", () => act({ do: "advance", by_us: S })],
  ["time", "−1 s", "ArrowLeft", () => back(S)],
  ["time", "−10 s", "Shift+ArrowLeft", () => back(10 * S)],
  ["run", "New branch", "b", () => fork()],
  ["run", "Copy token", "c", () => copy()],
  ["network", "Heal all", "h", () => end(state.active)],
]);

const pair = (/** @type {string} */ a, /** @type {string} */ b) => /** @type {[string, string][]} */ ([[a, b], [b, a]]);
const others = (/** @type {string} */ node) => state.nodes.map((one) => one.name).filter((name) => name !== node);

/** @type {State} */ let state;
let rows = new Rows(), due = 0, drawn = ""; // a frame is asked for; what the matrix shows
let follows = true, moves = false, span = 0; // whether the diagram follows now; this file moves it; us in sight
let held = false; // the slider is held

const matrix = new Matrix($("matrix"), rows), timelines = new Timelines($("timelines"), rows, { most: 12 });
const diagram = new Diagram($("diagram"), rows, {
  onSelect: (row) => ($("selected").textContent = row < 0 ? "" : said(rows, row)),
  onRange: ({ t0, t1 }) => { // who zooms goes on following, who moves away does not
    if (!moves && state && Math.abs(t1 - t0 - span) < 1) follows = t0 <= state.now_us && state.now_us <= t1;
    span = t1 - t0;
  },
});

// --- what a person does --------------------------------------------------------------------------

/** @param {Record<string, unknown>} action */
async function act(action) {
  const answer = await fetch("act", { method: "POST", body: JSON.stringify(action) }).catch(() => null);
  $("said").textContent = answer === null ? "the simulator does not answer" : await answer.text();
}

const back = (/** @type {number} */ by) => act({ do: "back", to_us: Math.max(0, state.now_us - by) });
const end = (/** @type {Active[]} */ faults) =>
  faults.length && act({ do: "end", faults: faults.map((one) => one.id) });

function fork() {
  const name = prompt("The name of the branch from here on (it gets one if you give none)");
  if (name !== null) act({ do: "fork", name });
}

async function copy() {
  $("token").textContent = "…";
  const answer = await fetch("token"), text = await answer.text();
  $("token").textContent = answer.ok ? `chatlab lab replay ${text}` : text;
  if (answer.ok) await navigator.clipboard.writeText(text).catch(() => null);
}

/** The faults in effect like this one: of one kind, and of the same node or links. @param {Fault} like */
const active = (like) => state.active.filter(({ fault }) => fault.what === like.what && fault.node === like.node
  && String([...(fault.cuts ?? [])].sort()) === String([...(like.cuts ?? [])].sort()));

/** A button that begins a fault, or ends those like it. @param {string} text @param {() => Fault} fault
 * @param {() => Active[]} found @param {string} ends what it says while there are some */
function toggle(text, fault, found = () => active(fault()), ends = text) {
  const onclick = () => end(found()) || act({ do: "inflict", fault: fault() });
  const button = make("button", { type: "button", onclick, show: () => {
    button.ariaPressed = String(found().length > 0);
    button.textContent = found().length ? ends : text;
  } });
  return button;
}

/** @param {string} node */
function card(node) {
  const input = make("input", { placeholder: "message", maxLength: 2000, ariaLabel: `message at ${node}` });
  const ask = (/** @type {string} */ action, text = "") => act({ do: "ask", node, action, text });
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    ask("post", input.value);
    input.value = "";
  };
  const ends = /** @type {Record<string, string>} */ ({ Kill: "Start", "Power off": "Start", Pause: "Resume" });
  const buttons = OF_NODE.map(([text, fault]) => toggle(text, () => fault(node), undefined, ends[text]));
  for (const action of ["join", "leave"]) buttons.push(make("button", { onclick: () => ask(action) }, action));
  const name = make("h3", {}), facts = make("div", { className: "muted" });
  const form = make("form", { onsubmit }, input, make("button", {}, "Post"));
  const bar = make("div", { className: "bar" }, ...buttons);
  return make("article", { className: "panel", name, facts, off: buttons[1] }, name, facts, form, bar);
}

/** A link: click to cut it, both ways or, with Shift, one way. @param {string} from @param {string} to */
function link(from, to) {
  let ways = 2;
  const cut = () => ({ what: "partition", shape: "uniform", cuts: pair(from, to).slice(0, ways) });
  const found = () => state.active.filter(({ fault }) => fault.cuts?.some(([a, b]) => a === from && b === to));
  const button = toggle("·", cut, found, "✕");
  button.addEventListener("click", (/** @type {MouseEvent} */ event) => (ways = event.shiftKey ? 1 : 2), true);
  return Object.assign(button, { title: `${from} to ${to}: cut it both ways, with Shift one way` });
}

function build() {
  const names = state.nodes.map((one) => one.name);
  $("nodes").replaceChildren(...names.map(card));
  $("network").prepend("All links:", ...OF_ALL.map(([text, fault]) => toggle(text, () => fault)));
  $("links").replaceChildren(make("tr", {}, make("th", {}, "links"), ...names.map((to) => make("th", {}, to))),
    ...names.map((from) => make("tr", {}, make("th", {}, from),
      ...names.map((to) => make("td", {}, from === to ? "" : link(from, to))))));
}

// --- what is drawn -------------------------------------------------------------------------------

/** Replace what is inside, if what it is made of has changed: a button that is replaced cannot be clicked.
 * @param {string} id @param {unknown} of @param {() => HTMLElement[]} inside */
function fill(id, of, inside) {
  const element = $(id), made = JSON.stringify(of);
  if (element.made !== (element.made = made)) element.replaceChildren(...inside());
}

function changed() {
  due ||= requestAnimationFrame(() => {
    due = 0;
    if (state) draw();
  });
}

function draw() {
  if (!$("nodes").children.length) build();
  const { now_us: now, branches } = state, branch = branches.find(([name]) => name === state.branch);
  $("where").textContent = `${state.planted}${state.scenario} seed ${state.seed}`
    + (state.plan_us ? `, its faults end at ${clock(state.plan_us, 1e5)}` : "");
  if (state.said) $("said").textContent = state.said;
  $("Play").textContent = state.speed ? "Hold" : "Play";
  if (!held) Object.assign($("scrub"), { max: Math.max(branch?.[3] ?? 0, 1), value: now });
  const t = held ? Number($("scrub").value) : now;
  $("when").textContent = clock(t);
  fill("branches", [state.branch, branches.length], () => branches.map(([name, parent, from]) => make("button", {
    onclick: () => act({ do: "go", branch: name }), ariaPressed: String(name === state.branch),
    title: parent && `from ${parent} at ${clock(from)}`,
  }, name)));
  drawNodes();
  for (const button of document.querySelectorAll("button")) /** @type {any} */ (button).show?.();
  fill("active", state.active, () => state.active.map((one) =>
    make("button", { onclick: () => end([one]), title: `${one.text}: end it` }, `✕ ${one.text}`)));
  drawVerdicts();
  const from = Math.max(0, now - 0.92 * span);
  moves = true;
  if (follows) diagram.setRange(from, from + span);
  moves = false;
  diagram.setCursor(t);
  if (drawn === (drawn = `${rows.length} ${t}`)) return;
  matrix.at(t);
  timelines.at(t);
}

function drawNodes() {
  const known = rows.known(state.now_us), shown = holdings(rows, state.now_us, known);
  state.nodes.forEach((node, lane) => {
    const { name, facts, off, classList } = $("nodes").children[lane];
    const still = node.events === null || node.health === "paused";
    const lacks = known.length - (shown[lane] ?? []).reduce((/** @type {number} */ sum, one) => sum + one, 0);
    classList.toggle("still", still);
    name.replaceChildren(node.name, make("span", { className: still ? "bad" : "good" }, node.health));
    const ahead = node.ahead_ms ? `, clock ${node.ahead_ms > 0 ? "+" : ""}${node.ahead_ms / 1000} s` : "";
    const holds = `${node.events} event${node.events === 1 ? "" : "s"}${lacks ? `, lacks ${lacks}` : ""}`;
    facts.textContent = `${node.events === null ? "not running" : holds}${ahead}`;
    facts.title = `life ${node.life}, root ${node.root}`;
    off.hidden = still && node.health !== "paused";
  });
}

function drawVerdicts() {
  const judgement = state.judgement, outcome = judgement?.outcome ?? "unknown";
  const word = (/** @type {string} */ one, open = "open") => ({ pass: "holds", fail: "broken" })[one] ?? open;
  const cell = (/** @type {string} */ one, /** @type {string} */ text) => make("td", { className: CLASS[one] }, text);
  const bad = (/** @type {Standing} */ one) => Number(one[2] === "fail" || one[3] === "fail");
  $("outcome").className = CLASS[outcome];
  $("outcome").textContent = judgement
    ? `${word(outcome, "not all shown")} at ${clock(judgement.at_us, 1000)}${judgement.now ? "" : " …"}` : "…";
  const order = [...(judgement?.rows ?? [])].sort((one, other) => bad(other) - bad(one));
  const head = make("tr", {}, ...["", "now", "if healed"].map((text) => make("th", {}, text)));
  fill("verdicts", order, () => [head, ...order.map((one) => {
    const name = make("button", { onclick: () => explain(one), title: one[4] }, `${one[0]} ${one[1]}`);
    return make("tr", {}, make("td", {}, name), cell(one[2], word(one[2])), cell(one[3], word(one[3], "not shown")));
  })]);
}

/** Why, and where in the trace. @param {Standing} one */
function explain(one) {
  $("reason").textContent = `${one[0]}: ${one[4]}`;
  diagram.mark(state.judgement?.same_trace ? one[5].map((seq) => rows.rowOf(seq)) : []);
}

// --- the beginning -------------------------------------------------------------------------------

for (const [at, text, key, onclick] of DEEDS) {
  const button = make("button", { id: text, onclick, title: `key: ${key === " " ? "space" : key}` }, text);
  if (at === "time") $("speed").before(button);
  else $(at).append(button);
}
$("speed").append(...SPEEDS.map((one) => make("option", { value: one, selected: one === 1 }, `${one} ×`)));
$("speed").onchange = () => state.speed && act({ do: "play", speed: Number($("speed").value) });
$("scrub").oninput = () => ((held = true), changed());
$("scrub").onchange = () => ((held = false), act({ do: "back", to_us: Number($("scrub").value) }));
document.addEventListener("keydown", (event) => {
  const at = /** @type {HTMLElement} */ (event.target), key = event.shiftKey ? `Shift+${event.key}` : event.key;
  const deed = DEEDS.find((one) => one[2] === key);
  if (!deed || event.ctrlKey || event.metaKey || event.altKey || at.matches("input, select, canvas")) return;
  if (key === " " && at.matches("button")) return;
  event.preventDefault();
  deed[3]();
});

// After a click of the mouse, space plays on; who moves by keys keeps the button.
document.addEventListener("click", ({ detail, target }) => {
  if (detail && target instanceof HTMLButtonElement) target.blur();
});

const stream = new EventSource("stream");
stream.addEventListener("start", () => {
  rows = matrix.rows = timelines.rows = diagram.rows = new Rows();
  Object.assign(diagram, { known: -1, marks: [] });
  diagram.select(-1);
});
stream.addEventListener("rows", (event) => (rows.append(JSON.parse(event.data)), changed()));
stream.addEventListener("state", (event) => ((state = JSON.parse(event.data)), changed()));
stream.addEventListener("reload", () => location.reload());
stream.onerror = () => ($("said").textContent = "the simulator has ended");
moves = true;
diagram.setRange(0, SPAN_US);
moves = false;
