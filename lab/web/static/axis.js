// The time axis that diagram and curves share: the same range, the same gutter, the same colours.

export const GUTTER = 64; // px, left of time: names of nodes
export const RIGHT = 10; // px, right of it
const COLOURS = ["page", "text", "muted", "line", "band", "traffic", "shown", "client", "bad", "life", "past",
  "future", "mark", "news"];

/** @typedef {{t0: number, t1: number}} Range us */
/** @typedef {Record<string, string>} Palette colour by name, as common.css has them */

/** @param {Element} element @returns {Palette} */
export function palette(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** The context of a canvas whose bitmap fits its box and the screen; sizes are CSS pixels.
 * @param {HTMLCanvasElement} canvas */
export function sheet(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.clearRect(0, 0, width, height);
  ink.font = "12px system-ui, sans-serif";
  ink.textBaseline = "middle";
  return { ink, width, height };
}

/** From time to pixel and back. @param {Range} range @param {number} width */
export function scale(range, width) {
  const pixels = Math.max(width - GUTTER - RIGHT, 1), span = Math.max(range.t1 - range.t0, 1);
  return {
    x: (/** @type {number} */ t) => GUTTER + ((t - range.t0) * pixels) / span,
    t: (/** @type {number} */ x) => range.t0 + ((x - GUTTER) * span) / pixels,
    pixels,
    span,
  };
}

/** Round times, about one in `apart` px. @param {Range} range @param {number} pixels */
export function ticks(range, pixels, apart = 110) {
  const rough = ((range.t1 - range.t0) * apart) / Math.max(pixels, 1);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10);
  const found = [];
  for (let t = Math.ceil(range.t0 / step) * step; t <= range.t1; t += step) found.push(t);
  return { step, times: found };
}

/** A time as text, as exact as `step` asks for. @param {number} t us @param {number} step us */
export function clock(t, step = 1) {
  const digits = Math.max(0, Math.min(6, 6 - Math.floor(Math.log10(Math.max(step, 1)))));
  return `${(t / 1e6).toFixed(digits)} s`;
}

/** Numbers short enough for a label. @param {number} value */
export function short(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : `${Math.round(value)}`;
}
