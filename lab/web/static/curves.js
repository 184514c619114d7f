// Curves over the time axis of a diagram: what each node lacks (heat), how late events come, bytes.

import { GUTTER, palette, scale, sheet, short } from "./axis.js";

/** @typedef {import("./rows.js").Rows} Rows */
/** @typedef {import("./axis.js").Range} Range */

/** How many events each node lacks, by bin of a range, on average (lane * bins + bin).
 * @param {Rows} rows @param {Range} range @param {number} bins */
export function missing(rows, range, bins) {
  const lanes = rows.nodes.length, each = new Float64Array(bins * lanes), now = new Int32Array(lanes);
  const per = bins / (range.t1 - range.t0);
  let from = 0; // in bins: until there all is counted
  const count = (/** @type {number} */ t) => {
    const until = Math.max(0, Math.min((t - range.t0) * per, bins));
    for (let bin = Math.floor(from); from < until; bin++) {
      const next = Math.min(bin + 1, until);
      for (let lane = 0; lane < lanes; lane++) each[lane * bins + bin] += now[lane] * (next - from);
      from = next;
    }
  };
  rows.sweep((row, known, held) => {
    count(rows.t[row]);
    for (let lane = 0; lane < lanes; lane++) now[lane] = known - held[lane];
  });
  count(rows.end);
  return each;
}

/** By bin: the longest time in us from the first showing of an event to that at the last node; the
 * bin is that of the first. @param {Rows} rows @param {Range} range @param {number} bins */
export function lags(rows, range, bins) {
  const found = new Float64Array(bins), per = bins / (range.t1 - range.t0);
  for (const showings of rows.showings) {
    if (!showings) continue;
    const bin = Math.floor((rows.t[showings[0]] - range.t0) * per);
    const first = /** @type {Map<number, number>} */ (new Map());
    for (const row of showings) {
      if (rows.begins(row) && !first.has(rows.lane[row])) first.set(rows.lane[row], rows.t[row]);
    }
    if (bin >= 0 && bin < bins) found[bin] = Math.max(found[bin], Math.max(...first.values()) - rows.t[showings[0]]);
  }
  return found;
}

/** By bin: bytes a second that nodes sent. @param {Rows} rows @param {Range} range @param {number} bins */
export function traffic(rows, range, bins) {
  const found = new Float64Array(bins), per = bins / (range.t1 - range.t0);
  for (let row = rows.before(range.t0), end = rows.before(range.t1); row < end; row++) {
    found[Math.floor((rows.t[row] - range.t0) * per)] += rows.bytes[row];
  }
  return found.map((sum) => sum * per * 1e6);
}

/** One curve below a diagram. `kind`: `missing` (heat), `lag` or `bytes`. */
export class Curve {
  /** @param {HTMLCanvasElement} canvas @param {Rows} rows @param {"missing" | "lag" | "bytes"} kind */
  constructor(canvas, rows, kind) {
    this.canvas = canvas;
    this.rows = rows;
    this.kind = kind;
    canvas.classList.add("curve");
    canvas.setAttribute("role", "img");
  }

  /** @param {Range} range @param {number} [cursor] us */
  draw(range, cursor = -1) {
    const { rows, kind } = this, lanes = rows.nodes.length;
    const pitch = Math.max(2, Math.min(14, Math.floor(320 / Math.max(lanes, 1))));
    if (kind === "missing") this.canvas.style.height = `${lanes * pitch + 4}px`;
    const { ink, width, height } = sheet(this.canvas), colours = palette(this.canvas);
    const to = scale(range, width), bins = Math.max(1, Math.floor(to.pixels / 2)), wide = to.pixels / bins;
    let most = 0;
    if (kind === "missing") {
      const each = missing(rows, range, bins);
      most = each.reduce((one, other) => Math.max(one, other), 0);
      ink.fillStyle = colours.line;
      for (let lane = 0; lane < lanes; lane++) ink.fillRect(GUTTER, (lane + 1) * pitch - 1, to.pixels, 1);
      ink.fillStyle = colours.bad;
      each.forEach((count, at) => {
        if (!count) return;
        ink.globalAlpha = 0.1 + 0.9 * (Math.log1p(count) / Math.log1p(most));
        ink.fillRect(GUTTER + (at % bins) * wide, Math.floor(at / bins) * pitch, wide, pitch - 1);
      });
      ink.globalAlpha = 1;
      ink.fillStyle = colours.text;
      if (pitch >= 12) rows.nodes.forEach((name, lane) => ink.fillText(name, 4, (lane + 0.5) * pitch, GUTTER - 8));
    } else {
      const values = kind === "lag" ? lags(rows, range, bins) : traffic(rows, range, bins);
      most = values.reduce((one, other) => Math.max(one, other), 0);
      ink.fillStyle = kind === "lag" ? colours.past : colours.traffic;
      values.forEach((value, bin) => {
        const high = most ? (value / most) * (height - 8) : 0;
        if (value) ink.fillRect(GUTTER + bin * wide, height - Math.max(high, 1), wide, Math.max(high, 1));
      });
      ink.fillStyle = colours.line;
      ink.fillRect(GUTTER, height - 1, to.pixels, 1);
      ink.fillStyle = colours.muted;
      const figure = kind === "lag" ? `${short(most / 1e3)} ms` : `${short(most)} B/s`.replace(/ ([kM]) /, " $1");
      ink.fillText(figure, 4, 8, GUTTER - 8);
    }
    ink.fillStyle = colours.text;
    if (cursor >= range.t0 && cursor <= range.t1) ink.fillRect(to.x(cursor) - 1, 0, 2, height);
    this.canvas.setAttribute("aria-label", `${kind}, at most ${short(most)}`);
  }
}
