// The page of `chatlab lab report`: one run, or two on one axis. `lab.web.report` writes its data.

import { clock } from "./axis.js";
import { Curve } from "./curves.js";
import { Diagram } from "./diagram.js";
import { Matrix, described } from "./matrix.js";
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

/** An element with text or others in it. @param {string} tag @param {string} kind its class
 * @param {(string | Node)[]} inside */
function make(tag, kind, ...inside) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...inside);
  return made;
}

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} text @param {() => void} does @param {string} [kind] */
function button(text, does, kind = "link") {
  const made = make("button", kind, text);
  made.addEventListener("click", does);
  return made;
}

class Side {
  /** @param {Run} run @param {number} index @param {Report} report */
  constructor(run, index, report) {
    this.run = run;
    this.index = index;
    this.report = report;
    this.rows = Rows.from(run.columns);
    const canvas = document.createElement("canvas");
    this.curves = /** @type {const} */ (["missing", "lag", "bytes"]).map((kind) => {
      return new Curve(document.createElement("canvas"), this.rows, kind);
    });
    const labels = ["Events that each node lacks", "Longest time to the last node", "Bytes sent"];
    const below = this.curves.flatMap((curve, at) => [make("div", "caption", labels[at]), curve.canvas]);
    place("sides").append(make("div", "caption", report.two ? `${"AB"[index]}: ${run.name}` : ""), canvas, ...below);
    this.diagram = new Diagram(canvas, this.rows, {
      onSelect: (row) => report.selected(this, row),
      onRange: (range) => report.ranged(this, range),
    });
  }

  /** Mark events, and bring them into sight. @param {number[]} seqs @param {boolean} [select] */
  show(seqs, select = false) {
    const { rows, diagram } = this, marks = seqs.map((seq) => rows.rowOf(seq));
    if (!marks.length) return;
    const first = Math.max(Math.min(...marks) - AROUND, 0);
    const last = Math.min(Math.max(...marks) + AROUND, rows.length - 1);
    diagram.setRange(rows.t[first], rows.t[last]);
    diagram.mark(marks);
    if (select) diagram.select(marks[0]);
    diagram.canvas.scrollIntoView({ block: "nearest" });
  }

  /** What happened in a row, in words. @param {number} row */
  words(row) {
    const { rows } = this, ref = rows.ref[row], peer = rows.peer[row];
    const where = rows.lane[row] < 0 ? "the run" : rows.nodes[rows.lane[row]];
    const to = peer < 0 ? "" : ` ${rows.kinds[rows.kind[row]] === "recv" ? "from" : "to"} ${rows.nodes[peer]}`;
    const said = rows.text[row] < 0 ? "" : `: ${rows.texts[rows.text[row]]}`;
    const what = ref < 0 ? "" : `, ${this.run.names[ref]} ${described(rows, ref, rows.t[row])}`;
    return `${clock(rows.t[row])} ${where} ${rows.kinds[rows.kind[row]]}${to}${said}${what}`;
  }

  /** Details of the selected row: what it is, and the chain of its causes. @param {number} row */
  details(row) {
    const { rows } = this, chain = [];
    for (let at = rows.cause[row]; at >= 0 && chain.length < CHAIN_MAX; at = rows.cause[at]) chain.push(at);
    const past = rows.past(row), future = rows.future(row);
    let before = 0, after = 0;
    for (let at = 0; at < rows.length; at++) {
      if (at < row && at <= past[rows.lane[at]]) before++;
      else if (at > row && at >= future[rows.lane[at]]) after++;
    }
    const causes = chain.map((at) => make("li", "", button(this.words(at), () => this.diagram.select(at))));
    return [
      make("p", "", make("strong", "", this.words(row)), ` [event ${rows.seq[row]}]`),
      make("p", "muted", `${before} events are in its past, ${after} in its future.`),
      ...(causes.length ? [make("p", "", "Because of:"), make("ol", "", ...causes)] : []),
    ];
  }
}

class Report {
  /** @param {Data} data */
  constructor(data) {
    this.data = data;
    this.two = data.runs.length > 1;
    this.moving = false;
    this.frame = 0;
    /** @type {Side[]} */ this.sides = [];
    data.runs.forEach((run, index) => this.sides.push(new Side(run, index, this)));
    const run = data.runs[0];
    document.title = `${run.scenario}: ${run.outcome}, chatlab report`;
    this.heads();
    this.sides.forEach((side) => place("told").append(...this.told(side)));
    this.buttons();
    this.end = Math.max(...this.sides.map((side) => side.rows.end), 1);
    this.whole();
    this.selected(this.sides[0], -1);
    this.first();
    const again = () => this.ranged(this.sides[0], this.sides[0].diagram.range);
    window.addEventListener("resize", again);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  whole() {
    this.sides[0].diagram.setRange(0, this.end);
  }

  /** What is marked at first: where two runs part, or what the first failure names. */
  first() {
    this.sides.forEach((side, at) => {
      const failed = side.run.verdicts.find(([, , , outcome, , seqs]) => outcome === "fail" && seqs.length);
      const seqs = this.data.parts ? [this.data.parts[at][0]] : failed ? failed[5] : [];
      side.diagram.mark(seqs.map((seq) => side.rows.rowOf(seq)));
    });
  }

  buttons() {
    const { diagram } = this.sides[0];
    place("in").addEventListener("click", () => diagram.zoom(0.5));
    place("out").addEventListener("click", () => diagram.zoom(2));
    place("all").addEventListener("click", () => this.whole());
    place("none").addEventListener("click", () => this.sides.forEach((side) => side.diagram.select(-1)));
  }

  /** All share a range. @param {Side} from @param {import("./axis.js").Range} range */
  ranged(from, range) {
    if (this.moving) return;
    this.moving = true;
    for (const side of this.sides) {
      if (side !== from) side.diagram.setRange(range.t0, range.t1);
    }
    this.moving = false;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      for (const side of this.sides) {
        for (const curve of side.curves) curve.draw(side.diagram.range, side.diagram.cursor);
      }
    });
  }

  /** @param {Side} side @param {number} row */
  selected(side, row) {
    const hint = "Select an event to see what led to it and what it may have led to.";
    place("chosen").replaceChildren(...(row < 0 ? [make("p", "muted", hint)] : side.details(row)));
  }

  heads() {
    const runs = this.sides.map(({ run }, at) => {
      const failed = run.verdicts.filter(([, , , outcome]) => outcome === "fail").map(([rule]) => rule);
      const name = `${this.two ? `${"AB"[at]}: ` : ""}${run.scenario}`;
      const outcome = make("strong", colour(run.outcome),
        `${run.outcome}${failed.length ? ` (${failed.join(", ")})` : ""}`);
      const broken = run.verdicts.filter(([, , , found]) => found === "fail").map((one) => {
        const [rule, rulesName, , , reason, seqs] = one;
        const show = seqs.length ? [button("show", () => this.sides[at].show(seqs, true), "")] : [];
        return make("p", "", make("strong", "bad", `${rule} ${rulesName}: `), `${reason} `, ...show);
      });
      const again = run.again ? [make("p", "", make("code", "", run.again))] : [];
      return make("div", "", make("h1", "", `${name} `, outcome), make("p", "muted", run.facts), ...again, ...broken);
    });
    place("head").append(...runs);
    if (!this.two) return;
    const parts = this.data.parts?.map(([seq, what], at) => {
      return make("li", "", button(`${"AB"[at]} ${what}`, () => this.sides[at].show([seq], true)));
    });
    place("head").append(parts ? make("p", "", "The first difference:") : make("p", "", "No event differs."),
      make("ul", "", ...(parts ?? [])));
  }

  /** Matrix, story and verdicts of a run. @param {Side} side */
  told(side) {
    const { run, rows } = side, title = (/** @type {string} */ text) => {
      return make("h2", "", this.two ? `${"AB"[side.index]}: ${text}` : text);
    };
    const table = (/** @type {Verdict[]} */ ones) => make("table", "", make("tbody", "", ...ones.map((one) => {
      const [rule, name, promise, outcome, reason, seqs] = one, why = make("td", "", reason);
      if (seqs.length) why.append(" ", button("show", () => side.show(seqs, true), ""));
      return make("tr", "", make("td", colour(outcome), outcome), make("td", "", rule),
        make("td", "", name, make("div", "muted", promise)), why);
    })));
    const passed = run.verdicts.filter(([, , , outcome]) => outcome === "pass");
    const others = run.verdicts.filter(([, , , outcome]) => outcome !== "pass");
    const kept = make("details", "", make("summary", "", `${passed.length} promises kept`), table(passed));
    const lines = run.lines.map(([seq, t, text, witness]) => {
      return make("li", witness ? "witness" : "", make("span", "mono muted", `${clock(t, 1000)} `),
        button(text, () => side.show([seq], true)));
    });
    if (run.unsaid) lines.push(make("li", "muted", `and ${run.unsaid} more lines`));
    const endings = run.endings.map(([rule, name, promise, broken, lesson]) => make("div", "panel",
      make("p", "bad", `Broken: ${rule}, ${name}.`), make("p", "", `The promise: ${promise}`),
      make("p", "", `What happened: ${broken}`), ...(lesson ? [make("p", "", `Why it matters: ${lesson}`)] : [])));
    return [title("Who holds what"), ...this.matrix(side, rows), title("What happened"),
      make("p", "", run.opening), make("ol", "story", ...lines), ...endings, title("Verdicts"),
      table(others.sort((one) => (one[3] === "fail" ? -1 : 1))), kept];
  }

  /** A matrix with a slider, which also moves the cursor of the diagram. @param {Side} side @param {Rows} rows */
  matrix(side, rows) {
    const holder = make("div", ""), matrix = new Matrix(holder, rows), at = make("span", "mono", "");
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", max: "1000", value: "1000" });
    slider.setAttribute("aria-label", "Time of the matrix");
    const moved = () => {
      const t = (rows.end * Number(slider.value)) / 1000;
      at.textContent = clock(t, 1000);
      matrix.at(t);
      side.diagram.setCursor(t < rows.end ? t : -1);
      this.ranged(side, side.diagram.range);
    };
    slider.addEventListener("input", moved);
    new ResizeObserver(moved).observe(holder);
    return [make("div", "bar", slider, at), holder];
  }
}

/** The class of an outcome. @param {string} outcome */
function colour(outcome) {
  return outcome === "fail" ? "bad" : outcome === "pass" ? "good" : "muted";
}

const report = new Report(JSON.parse(place("data").textContent ?? ""));
Object.assign(window, { report });
