// The page of `chatlab lab report`: one run, or two on one axis. `lab.web.report` writes its data.

import { clock } from "./axis.js";
import { Curve } from "./curves.js";
import { Diagram } from "./diagram.js";
import { Matrix } from "./matrix.js";
import { $, make, said } from "./page.js";
import { Rows } from "./rows.js";

/** @typedef {[rule: string, name: string, promise: string, outcome: string, reason: string,
 *   witnesses: number[]]} Verdict */
/** @typedef {{name: string, again: string, scenario: string, facts: string, outcome: string,
 *   columns: import("./rows.js").Columns, names: string[], verdicts: Verdict[], opening: string,
 *   lines: [seq: number, t: number, text: string, witness: boolean][], unsaid: number,
 *   endings: [rule: string, name: string, promise: string, broken: string, lesson: string][]}} Run */
/** @typedef {{runs: Run[], parts: [seq: number, what: string][] | null}} Data */

const AROUND = 60; // rows in sight before and after what is marked
const CHAIN_MAX = 12;
const CURVES = /** @type {["missing" | "lag" | "bytes", string][]} */ ([
  ["missing", "Events that each node lacks"], ["lag", "Longest time to the last node"], ["bytes", "Bytes sent"],
]);
const CLASS = /** @type {Record<string, string>} */ ({ pass: "good", fail: "bad", unknown: "muted" });

const button = (/** @type {string} */ text, /** @type {() => void} */ onclick, className = "link") =>
  make("button", { onclick, className }, text);
const lines = (/** @type {string} */ className, /** @type {string[]} */ ...texts) =>
  texts.map((text) => make("p", { className }, text));

/** One run: its rows, its drawings, and what is said of it. */
class Side {
  /** @param {Run} run @param {string} letter before what is said of it @param {Report} report */
  constructor(run, letter, report) {
    this.run = run;
    this.letter = letter;
    this.rows = Rows.from(run.columns);
    const canvas = make("canvas", {});
    $("sides").append(make("div", { className: "caption" }, letter && letter + run.name), canvas);
    this.curves = CURVES.map(([kind, text]) => {
      const curve = new Curve(make("canvas", {}), this.rows, kind);
      $("sides").append(make("div", { className: "caption" }, text), curve.canvas);
      return curve;
    });
    this.diagram = new Diagram(canvas, this.rows, {
      onSelect: (row) => $("chosen").replaceChildren(...this.details(row)),
      onRange: (range) => report.ranged(this, range),
    });
    this.failed = run.verdicts.filter(([, , , outcome]) => outcome === "fail");
  }

  /** Mark events, bring them into sight, select the first. @param {number[]} seqs */
  show(seqs) {
    const { rows, diagram } = this, marks = seqs.map((seq) => rows.rowOf(seq));
    const last = Math.min(Math.max(...marks) + AROUND, rows.length - 1);
    diagram.setRange(rows.t[Math.max(Math.min(...marks) - AROUND, 0)], rows.t[last]);
    diagram.mark(marks);
    diagram.select(marks[0]);
    diagram.canvas.scrollIntoView({ block: "nearest" });
    diagram.canvas.focus({ preventScroll: true }); // for its keys
  }

  /** A text, and a button that shows its events. @param {string} text @param {number[]} seqs */
  shown(text, seqs) {
    return seqs.length ? [`${text} `, button("show", () => this.show(seqs), "")] : [text];
  }

  /** @param {number} row */
  words(row) {
    return said(this.rows, row, this.run.names[this.rows.ref[row]]);
  }

  /** The selected row: what it is, the size of its cones, the chain of its causes. @param {number} row */
  details(row) {
    if (row < 0) return lines("muted", "Select an event to see what led to it and what it may have led to.");
    const { rows, diagram } = this, chain = [];
    for (let at = rows.cause[row]; at >= 0 && chain.length < CHAIN_MAX; at = rows.cause[at]) chain.push(at);
    const count = { past: 0, future: 0 };
    for (let at = 0; at < rows.length; at++) {
      if (at !== row && diagram.related(at)) count[at < row ? "past" : "future"]++;
    }
    const causes = chain.map((at) => make("li", {}, button(this.words(at), () => diagram.select(at))));
    return [
      make("p", {}, make("strong", {}, this.words(row)), ` [event ${rows.seq[row]}]`),
      ...lines("muted", `${count.past} events are in its past, ${count.future} in its future.`),
      ...(causes.length ? [...lines("", "Because of:"), make("ol", {}, ...causes)] : []),
    ];
  }

  /** What stands at the top: what was run, how it ended, what was broken. */
  head() {
    const { run, failed } = this, rules = failed.length ? ` (${failed.map(([rule]) => rule).join(", ")})` : "";
    const broken = failed.map(([rule, name, , , reason, seqs]) =>
      make("p", {}, make("strong", { className: "bad" }, `${rule} ${name}: `), ...this.shown(reason, seqs)));
    return make("div", {}, make("h1", {}, `${this.letter}${run.scenario} `,
      make("strong", { className: CLASS[run.outcome] }, run.outcome + rules)), ...lines("muted", run.facts),
      ...(run.again ? [make("p", {}, make("code", {}, run.again))] : []), ...broken);
  }

  /** Matrix, story and verdicts. */
  body() {
    const { run } = this, title = (/** @type {string} */ text) => make("h2", {}, this.letter + text);
    const table = (/** @type {Verdict[]} */ ones) => make("table", {}, make("tbody", {}, ...ones.map((one) => {
      const [rule, name, promise, outcome, reason, seqs] = one;
      return make("tr", {}, make("td", { className: CLASS[outcome] }, outcome), make("td", {}, rule),
        make("td", {}, name, make("div", { className: "muted" }, promise)),
        make("td", {}, ...this.shown(reason, seqs)));
    })));
    const story = run.lines.map(([seq, t, text, witness]) => make("li", { className: witness ? "witness" : "" },
      make("span", { className: "mono muted" }, `${clock(t, 1000)} `), button(text, () => this.show([seq]))));
    if (run.unsaid) story.push(make("li", { className: "muted" }, `and ${run.unsaid} more lines`));
    const endings = run.endings.map(([rule, name, promise, broken, lesson]) => make("div", { className: "panel" },
      ...lines("bad", `Broken: ${rule}, ${name}.`), ...lines("", `The promise: ${promise}`,
        `What happened: ${broken}`, ...(lesson ? [`Why it matters: ${lesson}`] : []))));
    const passed = run.verdicts.filter(([, , , outcome]) => outcome === "pass");
    const unknown = run.verdicts.filter(([, , , outcome]) => outcome === "unknown");
    return [title("Who holds what"), ...this.matrix(), title("What happened"), ...lines("", run.opening),
      make("ol", {}, ...story), ...endings, title("Verdicts"), table([...this.failed, ...unknown]),
      make("details", {}, make("summary", {}, `${passed.length} promises kept`), table(passed))];
  }

  /** A matrix with a slider, which also moves the cursor of the drawings. */
  matrix() {
    const holder = make("div", {}), matrix = new Matrix(holder, this.rows), at = make("span", { className: "mono" });
    const moved = () => {
      const t = (this.rows.end * Number(slider.value)) / 1000;
      at.textContent = clock(t, 1000);
      matrix.at(t);
      this.diagram.setCursor(t < this.rows.end ? t : -1);
      this.draw();
    };
    const ariaLabel = "Time of the matrix";
    const slider = make("input", { type: "range", max: 1000, value: 1000, ariaLabel, oninput: moved });
    this.redraw = moved;
    return [make("div", { className: "bar" }, slider, at), holder];
  }

  draw() {
    for (const curve of this.curves) curve.draw(this.diagram.range, this.diagram.cursor);
  }
}

class Report {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.moving = false;
    this.frame = 0;
    this.sides = data.runs.map((run, at) => new Side(run, data.runs[1] ? `${"AB"[at]}: ` : "", this));
    this.end = Math.max(...this.sides.map((side) => side.rows.end), 1);
    document.title = `${data.runs[0].scenario}: ${data.runs[0].outcome}, chatlab report`;
    $("head").append(...this.sides.map((side) => side.head()), ...this.parts());
    $("told").append(...this.sides.flatMap((side) => side.body()));
    const { diagram } = this.sides[0], whole = () => diagram.setRange(0, this.end);
    $("in").onclick = () => diagram.zoom(0.5);
    $("out").onclick = () => diagram.zoom(2);
    $("all").onclick = whole;
    $("none").onclick = () => this.sides.forEach((side) => side.diagram.select(-1));
    $("none").click();
    whole();
    this.sides.forEach((side, at) => { // where runs part, or what the first failure names
      const seqs = data.parts ? [data.parts[at][0]] : side.failed.find((one) => one[5].length)?.[5] ?? [];
      side.diagram.mark(seqs.map((seq) => side.rows.rowOf(seq)));
      side.redraw?.();
      window.addEventListener("resize", () => side.redraw?.());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => side.redraw?.());
    });
  }

  /** The first difference of two runs. */
  parts() {
    if (!this.sides[1]) return [];
    if (!this.data.parts) return lines("", "No event differs.");
    return [...lines("", "The first difference:"), make("ul", {}, ...this.data.parts.map(([seq, what], at) =>
      make("li", {}, button(this.sides[at].letter + what, () => this.sides[at].show([seq])))))];
  }

  /** All sides share a range. @param {Side} from @param {import("./axis.js").Range} range */
  ranged(from, range) {
    if (this.moving) return;
    this.moving = true;
    for (const side of this.sides) if (side !== from) side.diagram.setRange(range.t0, range.t1);
    this.moving = false;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.sides.forEach((side) => side.draw());
    });
  }
}

const report = new Report(JSON.parse($("data").textContent));
Object.assign(window, { report });
