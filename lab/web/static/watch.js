// The page of `chatlab watch --web`: draws what the observer sends, live or at a moment before.
//
// Messages of the stream: `rows` (columns, see rows.js), `view` (the state of nodes, see
// lab/view/view_json.py, with new lines of the log), `reload`. The diagram, the matrix and the
// timelines show any moment by themselves; cards and log of a moment before come from `view?t=`.

import { clock, short } from "./axis.js";
import { Diagram } from "./diagram.js";
import { Matrix, Timelines, described } from "./matrix.js";
import { Rows } from "./rows.js";

/** @typedef {[when: string, node: string, level: string, event: string, fields: string]} Line */
/** @typedef {{name: string, health: string, up: boolean, starts: number, exit: string, events: number, lacks: number,
 *   root: string, stable: boolean | null, quiet_us: number | null, presence: Record<string, string>,
 *   rules: Record<string, number>, refused: number, lags_us: number[], sent: number, lost: number,
 *   workers: Record<string, {state: string}>, queues: Record<string, {used: number, room: number}>,
 *   links: Record<string, {state: string, in_sync: boolean, fault: string}>}} Node */
/** @typedef {{t_us: number, events: number, converged: boolean, nodes: Node[], lines: Line[], first_us: number,
 *   left: number, faults: {what: string, nodes: string[]}[]}} View */

const SPAN_US = 30e6, LEAST_US = 5e6, STEP_US = 1e6, LINES = 200, EVERY_MS = 200;
const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const scrub = /** @type {HTMLInputElement} */ ($("scrub")), filter = /** @type {HTMLInputElement} */ ($("filter"));

/** @type {View | null} */ let latest = null; // the newest
/** @type {View | null} */ let past = null; // of the moment that is shown, if it is not now
/** @type {Line[]} */ let lines = []; // the newest
let moment = -1; // us that is shown; -1: live
let asked = -1; // us whose view is on its way
let due = 0; // the timer of the next drawing
let drawn = ""; // what matrix and timelines show
let follows = true; // the diagram shows the newest events
let moves = false; // this file sets its range

const rows = new Rows();
const matrix = new Matrix($("matrix"), rows), timelines = new Timelines($("timelines"), rows, { most: 60 });
const diagram = new Diagram(/** @type {HTMLCanvasElement} */ ($("diagram")), rows, {
  onSelect: (row) => ($("selected").textContent = row < 0 ? "" : said(row)),
  onRange: () => (follows = follows && moves),
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const now = () => Math.max(latest?.t_us ?? 0, rows.end);

/** @param {string} tag @param {string} text @param {string} [name] of the class */
function make(tag, text, name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
}

/** @param {number} row */
function said(row) {
  const where = rows.lane[row] < 0 ? "the run" : rows.nodes[rows.lane[row]], ref = rows.ref[row];
  const about = ref < 0 ? "" : `  ${described(rows, ref, moment < 0 ? rows.end : moment)}`;
  return `${clock(rows.t[row])}  ${where}: ${rows.kinds[rows.kind[row]]} ${rows.texts[rows.text[row]] ?? ""}${about}`;
}

// --- what is drawn -------------------------------------------------------------------------------

/** Draw soon; many changes at once are one drawing. */
function changed() {
  due ||= setTimeout(() => {
    due = 0;
    const view = moment < 0 ? latest : past;
    if (view) draw(view, moment < 0 ? now() : moment);
  }, EVERY_MS);
}

/** @param {View} view @param {number} t us */
function draw(view, t) {
  document.body.classList.toggle("past", moment >= 0);
  $("live").setAttribute("aria-pressed", String(moment < 0));
  Object.assign(scrub, { min: latest?.first_us ?? 0, max: now(), value: t });
  $("when").textContent = moment < 0 ? "now" : `−${clock(now() - t, 1e5)}`;
  $("summary").textContent = summary(view);
  $("nodes").replaceChildren(...view.nodes.map(card));
  drawLog(moment < 0 ? lines : view.lines);
  drawRows(t);
}

/** @param {number} t us */
function drawRows(t) {
  const { t0, t1 } = diagram.range;
  moves = true;
  if (follows) diagram.setRange(Math.max(0, t - SPAN_US), Math.max(t, LEAST_US));
  else if (moment >= 0 && (t < t0 || t > t1)) diagram.setRange(t - (t1 - t0) / 2, t + (t1 - t0) / 2);
  moves = false;
  diagram.setCursor(moment);
  if (drawn === (drawn = `${rows.length} ${moment}`)) return;
  matrix.at(t);
  timelines.at(t);
  for (const list of document.querySelectorAll(".timelines ol")) list.scrollTop = list.scrollHeight;
}

/** @param {View} view */
function summary(view) {
  if (!view.nodes.length) return "waiting for the first answer";
  const up = view.nodes.filter((one) => one.up).length, behind = view.nodes.filter((one) => one.lacks);
  const parts = [`${up} of ${view.nodes.length} nodes up`, `${view.events} messages`];
  if (behind.length) parts.push(`some lacking at ${behind.map((one) => one.name).slice(0, 9).join(", ")}`);
  if (view.converged) parts.push("all that are up hold the same");
  if (view.faults.length) parts.push(`faults: ${[...new Set(view.faults.map((one) => one.what))].join(", ")}`);
  if (latest?.left) parts.push(`the ${latest.left} oldest messages are not drawn`);
  return parts.join("; ");
}

/** What a card says: name, text, class; without a text there is no line. @param {Node} node @returns {string[][]} */
function facts(node) {
  const links = Object.entries(node.links), workers = Object.entries(node.workers);
  const synced = links.filter(([, one]) => one.in_sync).length;
  const halted = workers.filter(([, one]) => one.state !== "running").map(([name, one]) => `${name} ${one.state}`);
  const ill = links.filter(([, one]) => one.state !== "alive" || one.fault)
    .map(([name, one]) => `${name} ${one.fault || one.state}`);
  const queues = Object.entries(node.queues).filter(([, one]) => one.used)
    .map(([name, one]) => `${name} ${short(one.used)}${one.room && ` of ${short(one.room)}`}`);
  const rules = Object.entries(node.rules).map(([name, count]) => `${name} ${count}`);
  const present = Object.keys(node.presence).filter((name) => node.presence[name] !== "left");
  return [
    ["lacks", node.lacks ? `${node.lacks} of ${node.events + node.lacks}` : "nothing known", node.lacks ? "bad" : ""],
    ["shows", `${node.events}${node.root && `, root ${node.root.slice(0, 8)}`}`],
    ["quiet", node.quiet_us === null ? "" : `${clock(node.quiet_us, 1e5)}${node.stable ? ", looks stable" : ""}`],
    ["ended", node.up ? "" : node.exit, "bad"],
    ["starts", node.starts > 1 ? `${node.starts}` : ""],
    ["links", links.length ? `${synced} of ${links.length} in sync` : ""],
    ["", ill.join(", "), "bad"],
    ["workers", workers.length ? `${workers.length - halted.length} of ${workers.length} run` : ""],
    ["", halted.join(", "), "bad"],
    ["queues", queues.join(", ") || (workers.length ? "empty" : "")],
    ["packets", node.sent ? `${node.sent} sent, ${node.lost} lost` : ""],
    ["moderated", [...rules, node.refused ? `${node.refused} refused` : ""].filter(Boolean).join(", ")],
    ["lag", sparkline(node.lags_us)],
    ["present", present.slice(0, 8).join(", ")],
  ];
}

/** @param {number[]} values us */
function sparkline(values) {
  const most = Math.max(...values, 1);
  const bars = values.slice(-8).map((one) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor((8 * one) / most))]).join("");
  return values.length ? `${bars} ${(values[values.length - 1] / 1e3).toFixed(1)}\u00a0ms` : "";
}

/** @param {Node} node */
function card(node) {
  const article = make("article", "", `panel ${node.up ? (node.lacks ? "lacks" : "") : "down"}`);
  const head = make("h3", ""), list = make("dl", "");
  head.append(make("span", node.name), make("span", node.health, node.up ? "good" : "bad"));
  for (const [name, text, style] of facts(node)) if (text) list.append(make("dt", name), make("dd", text, style));
  article.append(head, list);
  article.dataset.node = node.name;
  return article;
}

/** @param {Line[]} all */
function drawLog(all) {
  const word = filter.value.trim().toLowerCase();
  const fit = all.filter((line) => !word || line.slice(1).join(" ").toLowerCase().includes(word));
  $("count").textContent = `${fit.length} of the last ${all.length} lines`;
  $("log").replaceChildren(...fit.reverse().map(([when, node, level, ...rest]) => {
    const line = make("tr", "");
    line.append(make("td", when, "muted"), make("td", node), make("td", level, `level ${level}`));
    line.append(...rest.map((text) => make("td", text)));
    return line;
  }));
}

// --- the moment that is shown --------------------------------------------------------------------

/** @param {number} t us; at the end or beyond: live, unless it is to be held */
function show(t, held = false) {
  moment = t >= now() && !held ? -1 : Math.max(t, latest?.first_us ?? 0);
  if (moment >= 0) fetchView();
  else follows = true;
  changed();
}

/** Get the view of the moment; one request at a time, the newest moment wins. */
async function fetchView() {
  if (asked >= 0) return;
  asked = moment;
  try {
    past = await (await fetch(`view?t=${Math.round(asked)}`)).json();
  } catch {
    ended();
  }
  const again = moment >= 0 && moment !== asked;
  asked = -1;
  if (again) fetchView();
  else changed();
}

function ended() {
  $("summary").textContent = "the observer does not answer: this is the last that it sent";
}

// --- input ---------------------------------------------------------------------------------------

const hold = () => (moment < 0 ? show(now(), true) : show(Infinity));
$("live").addEventListener("click", hold);
scrub.addEventListener("input", () => show(Number(scrub.value)));
filter.addEventListener("input", changed);
for (const [target, name] of /** @type {[EventTarget, string][]} */ ([[window, "resize"], [dark, "change"]])) {
  target.addEventListener(name, () => {
    drawn = "";
    changed();
  });
}
document.addEventListener("keydown", (event) => {
  const at = event.target, step = STEP_US * (event.shiftKey ? 10 : 1), t = moment < 0 ? now() : moment;
  if (event.ctrlKey || event.metaKey || event.altKey || at === filter || at === diagram.canvas) return;
  if (event.key === "ArrowLeft") show(t - step);
  else if (event.key === "ArrowRight") show(t + step);
  else if (event.key === " ") hold();
  else return;
  event.preventDefault();
});

const stream = new EventSource("stream");
let opened = false;
stream.onopen = () => {
  if (opened) location.reload();
  opened = true;
};
stream.onerror = ended;
stream.addEventListener("reload", () => location.reload());
stream.addEventListener("rows", (event) => {
  rows.append(JSON.parse(event.data));
  changed();
});
stream.addEventListener("view", (event) => {
  const view = (latest = /** @type {View} */ (JSON.parse(event.data)));
  lines = [...lines, ...view.lines].slice(-LINES);
  changed();
});
