// The page of `chatlab watch --web`: draws what the observer sends, live or at a moment before.
//
// Messages of the stream: `rows` (columns, see rows.js), `view` (the state of nodes, see
// lab/view/view_json.py, with new lines of the log), `reload`. The diagram, the matrix and the
// timelines show any moment by themselves; cards and log of a moment before come from `view?t=`.

import { clock } from "./axis.js";
import { Diagram } from "./diagram.js";
import { Matrix, Timelines } from "./matrix.js";
import { $, make, said } from "./page.js";
import { Rows } from "./rows.js";

/** @typedef {[when: string, node: string, level: string, event: string, fields: string]} Line */
/** @typedef {{name: string, health: string, up: boolean, lacks: number, facts: [string, string, boolean][]}} Node */
/** @typedef {{t_us: number, first_us: number, summary: string, nodes: Node[], lines: Line[]}} View */

const SPAN_US = 30e6, LEAST_US = 5e6, STEP_US = 1e6, LINES = 200, EVERY_MS = 200, LISTS_MS = 1000;
const scrub = $("scrub"), filter = $("filter");

/** @type {View | null} */ let latest = null; // the newest
/** @type {View | null} */ let past = null; // of the moment that is shown, if it is not now
/** @type {Line[]} */ let lines = []; // the newest
let moment = -1; // us that is shown; -1: live
let asked = -1; // us whose view is on its way
let due = 0; // the timer of the next drawing
let drawn = ""; // what the matrix shows
let listed = ""; // what the timelines show
let listedMs = 0; // when long lists were made
let logged = /** @type {[Line[], string]} */ ([[], ""]); // what the log shows
let follows = true; // the diagram shows the newest events
let moves = false; // this file sets its range

const rows = new Rows();
const matrix = new Matrix($("matrix"), rows), timelines = new Timelines($("timelines"), rows, { most: 40 });
const diagram = new Diagram($("diagram"), rows, {
  onSelect: (row) => ($("selected").textContent = row < 0 ? "" : said(rows, row)),
  onRange: () => (follows = follows && moves),
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const now = () => Math.max(latest?.t_us ?? 0, rows.end);

// --- what is drawn -------------------------------------------------------------------------------

/** Draw soon; many changes at once are one drawing. */
function changed() {
  due ||= setTimeout(() => {
    due = 0;
    const view = moment < 0 ? latest : past;
    if (view) draw(view, moment < 0 ? now() : moment);
  }, EVERY_MS);
}

/** Long lists are drawn less often, and after all that reads sizes. @param {View} view @param {number} t us */
function draw(view, t) {
  drawRows(t);
  document.body.classList.toggle("past", moment >= 0);
  $("live").setAttribute("aria-pressed", String(moment < 0));
  Object.assign(scrub, { min: latest?.first_us ?? 0, max: now(), value: t });
  $("when").textContent = moment < 0 ? "now" : `−${clock(now() - t, 1e5)}`;
  $("summary").textContent = view.summary;
  $("nodes").replaceChildren(...view.nodes.map(card));
  if (moment < 0 && performance.now() < listedMs + LISTS_MS) return changed();
  listedMs = performance.now();
  drawLog(moment < 0 ? lines : view.lines);
  if (listed === (listed = drawn)) return;
  timelines.at(t);
  for (const list of document.querySelectorAll(".timelines ol")) list.scrollTop = list.scrollHeight;
}

/** @param {number} t us */
function drawRows(t) {
  const { t0, t1 } = diagram.range;
  moves = true;
  if (follows) diagram.setRange(Math.max(0, t - SPAN_US), Math.max(t, LEAST_US));
  else if (moment >= 0 && (t < t0 || t > t1)) diagram.setRange(t - (t1 - t0) / 2, t + (t1 - t0) / 2);
  moves = false;
  diagram.setCursor(moment);
  diagram.draw();
  if (drawn !== (drawn = moment < 0 ? `${rows.length}` : `at ${moment}`)) matrix.at(t);
}

/** @param {Node} node */
function card({ name, health, up, lacks, facts }) {
  const style = (/** @type {boolean} */ bad) => ({ className: bad ? "bad" : "" });
  const list = facts.flatMap(([fact, text, bad]) => [make("dt", {}, fact), make("dd", style(bad), text)]);
  const head = make("h3", {}, make("span", {}, name), make("span", { className: up ? "good" : "bad" }, health));
  const kind = up ? (lacks ? "lacks" : "") : "down";
  const article = make("article", { className: `panel ${kind}` }, head, make("dl", {}, ...list));
  article.dataset.node = name;
  return article;
}

/** @param {Line[]} all */
function drawLog(all) {
  const word = filter.value.trim().toLowerCase();
  if (all === logged[0] && word === logged[1]) return; // so that a selection of text stays
  logged = [all, word];
  const fit = all.filter((line) => !word || line.slice(1).join(" ").toLowerCase().includes(word));
  $("count").textContent = `${fit.length} of the last ${all.length} lines`;
  $("log").replaceChildren(...fit.reverse().map((line) => {
    const classes = ["muted", "", `level ${line[2]}`, "", ""];
    return make("tr", {}, ...line.map((text, at) => make("td", { className: classes[at] }, text)));
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
  if (view.lines.length) lines = [...lines, ...view.lines].slice(-LINES);
  changed();
});
