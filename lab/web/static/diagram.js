// A space-time diagram on a canvas: a lane for each node, time from left to right.
//
//   const diagram = new Diagram(canvas, rows, { onSelect(row) {}, onRange(range) {} });
//   diagram.setRange(t0, t1); diagram.setCursor(t); diagram.select(row); diagram.mark([row]); diagram.draw();
//
// What is drawn depends on how many rows the range has (`levelOf`): bars that count events, with
// arrows for packets that brought news where those are few, or each event and each packet. A call
// that changes something has it drawn with the next frame; `draw` draws at once. Rows may grow.

import { GUTTER, clock, palette, scale, sheet, ticks } from "./axis.js";
import { firstThat } from "./rows.js";

/** @typedef {import("./rows.js").Rows} Rows */
/** @typedef {import("./axis.js").Range} Range */
/** @typedef {{from: number, t0: number, t1: number, lanes: number[], text: string, level: number}} Band */
/** @typedef {{onSelect?: (row: number) => void, onRange?: (range: Range) => void}} Options */

export const EVENTS_MAX = 2500; // rows in sight: with more, they are counted instead of drawn
export const NEWS_MAX = 1200; // arrows of news over the bars
const AXIS = 22, RIBBON = 14, RIBBONS_MAX = 4, BIN = 3, NEAR = 9, CANVAS_MAX = 12000; // px, but RIBBONS_MAX
const CLASSES = /** @type {Record<string, string[]>} */ ({
  traffic: ["send", "recv", "copy"],
  shown: ["visible", "recovered"],
  client: ["invoke", "ok"],
  bad: ["fail", "info", "crash", "refused", "unwritten", "lost", "fired", "differs", "drop"],
  life: ["boot", "stop", "pause", "resume", "epoch"],
});

// Each class has a shape as well as a colour; in units of the size of a mark, around its place.
const SHAPES = /** @type {Record<string, [number, number][]>} */ ({
  traffic: [[-0.3, -0.3], [0.3, -0.3], [0.3, 0.3], [-0.3, 0.3]],
  shown: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  client: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  bad: [[-1.3, -1], [-1, -1.3], [0, -0.4], [1, -1.3], [1.3, -1], [0.4, 0], [1.3, 1], [1, 1.3], [0, 0.4], [-1, 1.3],
    [-1.3, 1], [-0.4, 0]],
  life: [[-1, -1.3], [1.3, 0], [-1, 1.3]],
  muted: [[-0.25, -0.8], [0.25, -0.8], [0.25, 0.8], [-0.25, 0.8]],
});

/** How much of a range is drawn: `bars`, `news` (bars, and arrows that brought news) or `events`.
 * @param {number} events rows in the range @param {number} news arrows of news in it */
export function levelOf(events, news) {
  if (events <= EVENTS_MAX) return "events";
  return news <= NEWS_MAX ? "news" : "bars";
}

/** Times of faults, each with the ribbon that it has to itself. @param {Rows} rows @returns {Band[]} */
export function bandsOf(rows) {
  /** @type {Band[]} */ const bands = [];
  /** @type {Map<number, Band>} */ const open = new Map();
  for (let row = 0; row < rows.length; row++) {
    if (rows.kind[row] === rows.code.fault) {
      const last = bands[bands.length - 1];
      const band = last && rows.seq[last.from] === rows.seq[row] ? last
        : { from: row, t0: rows.t[row], t1: Infinity, lanes: [], text: rows.texts[rows.text[row]] ?? "", level: 0 };
      if (band !== last) bands.push(band);
      if (rows.lane[row] >= 0) band.lanes.push(rows.lane[row]);
      open.set(row, band);
    } else if (rows.kind[row] === rows.code.healed) {
      const band = open.get(rows.cause[row]);
      if (band) band.t1 = rows.t[row];
    }
  }
  const free = /** @type {number[]} */ ([]);
  for (const band of bands) {
    if (band.lanes.length === 1) band.text = `${rows.nodes[band.lanes[0]]}: ${band.text}`;
    const level = free.findIndex((t) => t <= band.t0);
    band.level = Math.min(level < 0 ? free.length : level, RIBBONS_MAX - 1);
    if (free[band.level] > band.t0) band.text = ""; // it has no ribbon to itself
    free[band.level] = Math.max(free[band.level] ?? 0, band.t1);
  }
  return bands;
}

/** When nodes do not run: [lane, from, until, whether it only pauses]. @param {Rows} rows */
export function downsOf(rows) {
  /** @type {[number, number, number, boolean][]} */ const downs = [];
  const since = /** @type {({t: number, paused: boolean} | undefined)[]} */ ([]);
  const { boot, crash, stop, pause, resume } = rows.code;
  for (let row = 0; row < rows.length; row++) {
    const kind = rows.kind[row], lane = rows.lane[row];
    const begun = since[lane];
    if (begun && (kind === boot || kind === resume || kind === crash)) {
      downs.push([lane, begun.t, rows.t[row], begun.paused]);
      since[lane] = undefined;
    }
    if (lane >= 0 && (kind === crash || kind === stop || kind === pause)) {
      since[lane] = { t: rows.t[row], paused: kind === pause };
    }
  }
  since.forEach((begun, lane) => begun && downs.push([lane, begun.t, Infinity, begun.paused]));
  return downs;
}

/** @typedef {{ink: CanvasRenderingContext2D, width: number, height: number, from: number, until: number,
 *   newsFrom: number, colours: import("./axis.js").Palette, to: ReturnType<typeof scale>}} Paint */

export class Diagram {
  /** @type {Paint} what a frame is drawn with */ paint = /** @type {any} */ (undefined);

  /** @param {HTMLCanvasElement} canvas @param {Rows} rows @param {Options} [options] */
  constructor(canvas, rows, options = {}) {
    this.canvas = canvas;
    this.rows = rows;
    this.options = options;
    /** @type {Range} */ this.range = { t0: 0, t1: Math.max(rows.end, 1) };
    this.cursor = -1; // us, -1: none
    this.selected = -1; // row
    /** @type {number[]} */ this.marks = [];
    this.level = "events";
    this.frame = 0;
    this.known = -1; // rows that `bands` and `downs` know
    /** @type {Band[]} */ this.bands = [];
    /** @type {[number, number, number, boolean][]} */ this.downs = [];
    this.top = AXIS; // px, of the first lane
    this.style = new Uint8Array(0); // by kind: index into the names of SHAPES
    canvas.classList.add("diagram");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    this.listen();
    this.changed();
  }

  /** In us; without, the whole run. */
  setRange(t0 = 0, t1 = this.rows.end) {
    this.range = { t0, t1: Math.max(t1, t0 + 20) };
    this.options.onRange?.(this.range);
    this.changed();
  }

  setCursor(t = -1) { // us, -1: none
    this.cursor = t;
    this.changed();
  }

  /** Rows that a text speaks of. The range moves so that they are in sight. @param {number[]} marks */
  mark(marks) {
    this.marks = marks.filter((row) => row >= 0 && row < this.rows.length);
    const times = this.marks.map((row) => this.rows.t[row]), from = Math.min(...times), until = Math.max(...times);
    if (from < this.range.t0 || until > this.range.t1) {
      const span = Math.max(this.range.t1 - this.range.t0, 1.4 * (until - from));
      if (times.length) this.setRange((from + until - span) / 2, (from + until + span) / 2);
    }
    this.changed();
  }

  select(row = -1) { // -1: none
    this.selected = row;
    this.past = row < 0 ? undefined : this.rows.past(row);
    this.future = row < 0 ? undefined : this.rows.future(row);
    this.options.onSelect?.(row);
    this.changed();
  }

  changed() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  /** Show `factor` times the time, around a pixel. @param {number} factor @param {number} [x] */
  zoom(factor, x) {
    const { t0, t1 } = this.range;
    const at = x === undefined ? (t0 + t1) / 2 : scale(this.range, this.canvas.clientWidth).t(x);
    const most = Math.max(this.rows.end * 1.1, 1);
    const by = Math.min(factor, most / (t1 - t0));
    this.setRange(at - (at - t0) * by, at + (t1 - at) * by);
  }

  /** @param {number} share of what is in sight */
  pan(share) {
    const move = (this.range.t1 - this.range.t0) * share;
    this.setRange(this.range.t0 + move, this.range.t1 + move);
  }

  listen() {
    const canvas = this.canvas;
    let moved = 0; // px since the button went down
    canvas.addEventListener("pointerdown", (event) => {
      moved = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons !== 1) return;
      moved += Math.abs(event.movementX);
      if (moved > 3) this.pan(-event.movementX / scale(this.range, canvas.clientWidth).pixels);
    });
    canvas.addEventListener("click", (event) => {
      if (moved <= 3) this.select(this.hit(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX / 1000);
      else this.zoom(Math.exp(event.deltaY / 500), event.offsetX);
    }, { passive: false });
    const keys = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => this.pan(-0.1), ArrowRight: () => this.pan(0.1),
      "+": () => this.zoom(0.6), "=": () => this.zoom(0.6), "-": () => this.zoom(1 / 0.6),
      0: () => this.setRange(),
      ",": () => this.step(-1), ".": () => this.step(1), Escape: () => this.select(-1),
    });
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    new ResizeObserver(() => this.changed()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.changed());
  }

  /** Select the event before or after, on the same lane. @param {1 | -1} by */
  step(by) {
    const { rows, selected } = this, { t0, t1 } = this.range;
    let row = selected < 0 ? rows.before(t0) - 1 : selected;
    do row += by;
    while (selected >= 0 && rows.lane[row] !== rows.lane[selected] && row > 0 && row < rows.length);
    if (row < 0 || row >= rows.length) return;
    this.select(row);
    if (rows.t[row] < t0 || rows.t[row] > t1) this.setRange(rows.t[row] - (t1 - t0) / 2, rows.t[row] + (t1 - t0) / 2);
  }

  // --- where things are ------------------------------------------------------------------------

  /** px of a lane. */
  get pitch() {
    const count = this.rows.nodes.length;
    return count <= 12 ? 44 : count <= 40 ? 22 : Math.max(Math.min(5, CANVAS_MAX / count), Math.floor(720 / count));
  }

  /** @param {number} lane */
  y(lane) {
    return this.top + (lane + 0.5) * this.pitch;
  }

  /** The row that is drawn near this point, or -1. @param {number} x @param {number} y */
  hit(x, y) {
    const { rows } = this, to = scale(this.range, this.canvas.clientWidth), t = to.t(x);
    if (y < this.top) {
      const level = Math.floor((y - AXIS) / RIBBON);
      return this.bands.find((one) => one.level === level && one.t0 <= t && t <= one.t1)?.from ?? -1;
    }
    const lane = Math.floor((y - this.top) / this.pitch), near = (NEAR * to.span) / to.pixels;
    let best = -1, least = Infinity;
    for (let row = rows.before(t - near); row < rows.length && rows.t[row] <= t + near; row++) {
      if (rows.lane[row] !== lane || rows.kind[row] === rows.code.fault) continue; // that has a ribbon
      const far = Math.abs(rows.t[row] - t) + (this.style[rows.kind[row]] === 0 ? near / 2 : 0); // packets last
      if (far < least) [best, least] = [row, far];
    }
    return best;
  }

  // --- drawing ---------------------------------------------------------------------------------

  /** Learn from rows that came since the last time. */
  learn() {
    if (this.known === this.rows.length) return;
    this.known = this.rows.length;
    this.bands = bandsOf(this.rows);
    this.downs = downsOf(this.rows);
    this.style = new Uint8Array(this.rows.kinds.length).fill(Object.keys(SHAPES).indexOf("muted"));
    Object.values(CLASSES).forEach((kinds, index) => {
      for (const kind of kinds) this.style[this.rows.code[kind]] = index;
    });
    this.top = AXIS + RIBBON * (1 + this.bands.reduce((most, band) => Math.max(most, band.level), -1)) + 4;
    this.canvas.style.height = `${this.top + this.rows.nodes.length * this.pitch + 4}px`;
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.learn();
    const { rows, range } = this, { ink, width, height } = sheet(this.canvas);
    const colours = palette(this.canvas), to = scale(range, width);
    const from = rows.before(range.t0), until = rows.before(range.t1, true);
    const { news } = rows, newsFrom = firstThat(news.length, (at) => news[at] >= from);
    this.level = levelOf(until - from, firstThat(news.length, (at) => news[at] >= until) - newsFrom);
    this.paint = { ink, width, height, colours, to, from, until, newsFrom };
    ink.save();
    ink.beginPath();
    ink.rect(GUTTER, 0, width - GUTTER, height);
    ink.clip();
    this.drawGrid();
    this.drawBands();
    this.drawLanes();
    if (this.level !== "events") this.drawBars();
    if (this.level !== "bars") this.drawArrows();
    if (this.level === "events") this.drawEvents();
    this.drawMarks();
    ink.restore();
    this.drawNames();
    this.canvas.setAttribute("aria-label", `${rows.nodes.length} nodes, ${until - from} of ${rows.length} `
      + `events, ${clock(range.t0, to.span / 100)} to ${clock(range.t1, to.span / 100)}`);
  }

  drawGrid({ ink, width, height, colours, to } = this.paint) {
    const { step, times } = ticks(this.range, to.pixels);
    ink.fillStyle = colours.muted;
    ink.strokeStyle = colours.line;
    ink.globalAlpha = 0.5;
    ink.beginPath();
    for (const t of times) {
      ink.moveTo(to.x(t), AXIS - 5);
      ink.lineTo(to.x(t), height);
    }
    ink.stroke();
    ink.globalAlpha = 1;
    for (const t of times) {
      const text = clock(t, step);
      if (to.x(t) + ink.measureText(text).width + 6 < width) ink.fillText(text, to.x(t) + 4, AXIS / 2);
    }
  }

  drawBands({ ink, width, height, colours, to } = this.paint) {
    const inSight = this.bands.filter((band) => to.x(band.t1) >= GUTTER && to.x(band.t0) <= width).map((band) => {
      const x = Math.max(to.x(band.t0), GUTTER - 2), wide = Math.max(Math.min(to.x(band.t1), width) - x, 2);
      return { ...band, x, wide, y: AXIS + band.level * RIBBON };
    });
    ink.fillStyle = colours.band;
    for (const { lanes, x, wide, y } of inSight) {
      ink.globalAlpha = 0.05;
      if (!lanes.length) ink.fillRect(x, this.top, wide, height - this.top);
      for (const lane of lanes) ink.fillRect(x, this.top + lane * this.pitch, wide, this.pitch);
      ink.globalAlpha = 0.35;
      ink.fillRect(x, y, wide, RIBBON - 2);
    }
    ink.globalAlpha = 1;
    for (const { text, x, wide, y } of inSight) {
      if (wide > 30) fitted(ink, text, x + 3, y + RIBBON / 2 - 1, wide - 6, colours.text);
    }
  }

  drawLanes({ ink, width, colours, to } = this.paint) {
    ink.fillStyle = colours.line;
    this.rows.nodes.forEach((_, lane) => ink.fillRect(GUTTER, this.y(lane) - 0.5, width, 1));
    for (const [lane, since, until, paused] of this.downs) {
      const x0 = to.x(since), x1 = Math.min(to.x(until), width);
      const high = Math.min(this.pitch - 2, 14);
      ink.fillStyle = paused ? colours.muted : colours.bad;
      ink.globalAlpha = 0.22;
      if (x1 > GUTTER && x0 < width) ink.fillRect(x0, this.y(lane) - high / 2, Math.max(x1 - x0, 1.5), high);
      ink.globalAlpha = 1;
    }
    this.rows.nodes.forEach((_, lane) => {
      const last = this.past?.[lane] ?? -1, next = this.future?.[lane] ?? this.rows.length;
      if (last >= 0) this.drawCone(ink, lane, GUTTER, Math.min(to.x(this.rows.t[last]), width), colours.past);
      if (next < this.rows.length) this.drawCone(ink, lane, to.x(this.rows.t[next]), width, colours.future);
    });
  }

  /** @param {CanvasRenderingContext2D} ink @param {number} lane @param {number} from @param {number} x1
   * @param {string} colour */
  drawCone(ink, lane, from, x1, colour) {
    const x0 = Math.max(from, GUTTER);
    if (x1 <= x0) return;
    ink.fillStyle = colour;
    ink.globalAlpha = 0.13;
    ink.fillRect(x0, this.top + lane * this.pitch, x1 - x0, this.pitch);
    ink.globalAlpha = 1;
    ink.fillRect(x0, this.y(lane) - 1.5, x1 - x0, 3);
  }

  /** Bars that count: packets upwards, what is shown downwards, trouble across. */
  drawBars({ ink, colours, to, from, until } = this.paint) {
    const { rows } = this, lanes = rows.nodes.length, bins = Math.ceil(to.pixels / BIN) + 1;
    const counts = [0, 1, 2].map(() => new Uint16Array(bins * lanes));
    const trouble = Object.keys(SHAPES).indexOf("bad"), perUs = to.pixels / to.span / BIN;
    for (let row = from; row < until; row++) {
      const lane = rows.lane[row], style = this.style[rows.kind[row]];
      if (lane < 0) continue;
      const which = style === 1 ? 1 : style === trouble && rows.kind[row] !== rows.code.drop ? 2 : 0;
      counts[which][lane * bins + ((rows.t[row] - this.range.t0) * perUs | 0)]++;
    }
    const most = Math.log2(2 + counts[0].reduce((one, other) => Math.max(one, other), 0));
    const half = this.pitch / 2 - 1;
    [colours.traffic, colours.shown, colours.bad].forEach((colour, which) => {
      ink.fillStyle = colour;
      counts[which].forEach((count, at) => {
        if (!count) return;
        const y = this.y(Math.floor(at / bins));
        const high = Math.min(Math.max((half * Math.log2(1 + count)) / most, 1), half);
        const top = which === 0 ? y - high : which === 1 ? y : y - half;
        ink.fillRect(GUTTER + (at % bins) * BIN, top, BIN - 1, which === 2 ? 2 * half : high);
      });
    });
  }

  /** Packets, from lane to lane; those that brought an event stand out. */
  drawArrows({ ink, colours, to, from, until, newsFrom } = this.paint) {
    const { rows, range } = this, { news } = rows;
    const end = Math.min(rows.before(range.t1 + rows.flightMax), until + EVENTS_MAX);
    const lines = { traffic: new Path2D(), bad: new Path2D(), news: new Path2D() };
    const line = (/** @type {Path2D} */ path, /** @type {number} */ sent, /** @type {number} */ got, lost = false) => {
      const x0 = to.x(rows.t[sent]), y0 = this.y(rows.lane[sent]), far = this.y(lost ? rows.peer[got] : rows.lane[got]);
      const x1 = Math.max(to.x(rows.t[got]), lost ? x0 + 3 : 0), y1 = lost ? y0 + 0.4 * (far - y0) : far;
      path.moveTo(x0, y0);
      path.lineTo(x1, y1);
      if (path !== lines.traffic) path.rect(x1 - 1.5, y1 - 1.5, 3, 3);
    };
    for (let row = from; this.level === "events" && row < end; row++) {
      const lost = rows.kind[row] === rows.code.drop;
      if (!rows.arrives(row) || rows.t[rows.cause[row]] > range.t1) continue;
      line(lost ? lines.bad : lines.traffic, rows.cause[row], row, lost);
    }
    for (let at = newsFrom; news[at] < end; at++) {
      const cause = rows.cause[news[at]];
      line(lines.news, rows.arrives(cause) ? rows.cause[cause] : cause, news[at]);
    }
    ink.lineWidth = 1;
    for (const [name, path] of Object.entries(lines)) {
      ink.globalAlpha = name === "traffic" ? 0.4 : 0.85;
      ink.strokeStyle = colours[name];
      ink.stroke(path);
    }
    ink.globalAlpha = 1;
  }

  /** Each event by itself. Those outside of the cones fade. */
  drawEvents({ ink, colours, to, from, until } = this.paint) {
    const { rows } = this, { drop, fault, healed } = rows.code, size = Math.min(4.5, this.pitch / 4);
    for (const fades of this.past ? [true, false] : [false]) {
      ink.globalAlpha = fades ? 0.3 : 1;
      Object.keys(SHAPES).forEach((name, index) => {
        ink.fillStyle = colours[name];
        ink.beginPath();
        for (let row = from; row < until; row++) {
          const lane = rows.lane[row], kind = rows.kind[row];
          if (lane < 0 || this.style[kind] !== index || kind === drop || kind === fault || kind === healed) continue;
          if (this.past && fades === this.related(row)) continue;
          const x = to.x(rows.t[row]), y = this.y(lane);
          SHAPES[name].forEach(([dx, dy], at) => ink[at ? "lineTo" : "moveTo"](x + dx * size, y + dy * size));
        }
        ink.fill();
      });
    }
    ink.globalAlpha = 1;
  }

  /** Whether a row is in the cones of the selected one. @param {number} row */
  related(row) {
    const lane = this.rows.lane[row];
    return (this.past?.[lane] ?? -1) >= row || (this.future?.[lane] ?? Infinity) <= row;
  }

  drawMarks({ ink, height, colours, to } = this.paint) {
    const at = (/** @type {number} */ row) => this.rows.lane[row] < 0 ? AXIS : this.y(this.rows.lane[row]);
    ink.fillStyle = colours.mark;
    for (const row of this.marks) {
      const x = to.x(this.rows.t[row]), y = at(row) - 5;
      ink.beginPath();
      [[0, 0], [-6, -11], [6, -11]].forEach(([dx, dy]) => ink.lineTo(x + dx, y + dy));
      ink.fill();
      ink.fillRect(Math.round(x), AXIS, 1, height);
    }
    ink.fillStyle = ink.strokeStyle = colours.text;
    ink.lineWidth = 2;
    ink.beginPath();
    if (this.selected >= 0) ink.arc(to.x(this.rows.t[this.selected]), at(this.selected), 7, 0, 6.3);
    ink.stroke();
    if (this.cursor >= 0) ink.fillRect(to.x(this.cursor) - 1, 0, 2, height);
  }

  drawNames({ ink, colours } = this.paint) {
    const every = Math.ceil(13 / this.pitch);
    this.rows.nodes.forEach((name, lane) => {
      if (lane % every === 0) fitted(ink, name, 4, this.y(lane), GUTTER - 10, colours.text);
    });
  }
}

/** A text that is cut where its room ends. @param {CanvasRenderingContext2D} ink @param {string} text
 * @param {number} x @param {number} y @param {number} wide @param {string} colour */
function fitted(ink, text, x, y, wide, colour) {
  ink.fillStyle = colour;
  let shown = text.slice(0, Math.ceil(wide / 4));
  while (shown && ink.measureText(shown === text ? text : `${shown}…`).width > wide) shown = shown.slice(0, -1);
  if (shown) ink.fillText(shown === text ? text : `${shown}…`, x, y);
}
