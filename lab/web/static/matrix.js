// Who holds what at one moment: a matrix of nodes and events of the chat, and timelines side by side.

import { palette, sheet } from "./axis.js";

/** @typedef {import("./rows.js").Rows} Rows */
const LABEL = 150, HIGH = 18; // px: the column of names and counts, a node's row

/** The state of every event at every node, at a time: by lane, 1 shows it, 0 lacks it.
 * @param {Rows} rows @param {number} t @param {number[]} known */
export function holdings(rows, t, known) {
  const held = rows.nodes.map(() => new Uint8Array(known.length));
  known.forEach((ref, column) => {
    for (const lane of rows.holders(ref, t)) held[lane][column] = 1;
  });
  return held;
}

const sum = (/** @type {Uint8Array} */ cells) => cells.reduce((all, one) => all + one, 0);

/** A canvas, with a node in each row and an event in each column, in the order of first showings. */
export class Matrix {
  /** @param {HTMLElement} element @param {Rows} rows @param {{onPick?: (ref: number) => void}} [options] */
  constructor(element, rows, options = {}) {
    this.rows = rows;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.note = document.createElement("p");
    this.note.className = "muted";
    element.classList.add("matrix");
    element.replaceChildren(this.canvas, this.note);
    /** @type {number[]} */ this.known = [];
    this.canvas.addEventListener("click", (event) => {
      const at = Math.floor(((event.offsetX - LABEL) / (this.canvas.clientWidth - LABEL)) * this.known.length);
      if (this.known[at] === undefined) return;
      this.note.textContent = described(this.rows, this.known[at], this.t);
      options.onPick?.(this.known[at]);
    });
    this.t = 0;
  }

  /** Draw it as it is at time `t`. @param {number} t us */
  at(t) {
    const { rows, canvas } = this;
    this.t = t;
    this.known = rows.known(t).sort((one, other) => rows.showings[one][0] - rows.showings[other][0]);
    const held = holdings(rows, t, this.known);
    const high = Math.max(3, Math.min(HIGH, Math.floor(500 / Math.max(rows.nodes.length, 1))));
    canvas.style.height = `${high * rows.nodes.length}px`;
    const { ink, width } = sheet(canvas), colours = palette(canvas);
    const wide = Math.min((width - LABEL) / Math.max(this.known.length, 1), HIGH);
    let lacking = 0;
    const every = Math.ceil(12 / high); // so that names have room
    held.forEach((cells, lane) => {
      const y = lane * high, lacks = cells.length - sum(cells);
      ink.fillStyle = colours.shown;
      ink.globalAlpha = 0.75;
      ink.fillRect(LABEL, y, wide * cells.length, high - 1);
      ink.globalAlpha = 1;
      ink.fillStyle = colours.bad;
      cells.forEach((cell, column) => {
        if (cell) return;
        const x = LABEL + column * wide, room = Math.max(wide, 1);
        ink.fillRect(x, y, room, high - 1);
        if (room > 4 && high > 8) ink.clearRect(x + 1.5, y + 1.5, room - 3, high - 4); // a frame
      });
      ink.fillStyle = lacks ? colours.bad : colours.text;
      const text = `${rows.nodes[lane]}  ${cells.length - lacks}${lacks ? `, lacks ${lacks}` : ""}`;
      if (lane % every === 0) ink.fillText(text, 0, Math.max(y + high / 2, 6), LABEL - 8);
      lacking += lacks ? 1 : 0;
    });
    canvas.setAttribute("aria-label", `${this.known.length} events at ${rows.nodes.length} nodes; `
      + `${lacking} nodes lack some`);
  }
}

/** Who said what, and who shows it. @param {Rows} rows @param {number} ref @param {number} t */
export function described(rows, ref, t) {
  const [name, author, text, what] = rows.refs[ref];
  const holders = [...rows.holders(ref, t)].sort((one, other) => one - other).map((lane) => rows.nodes[lane]);
  const said = what === "posted" ? `: ${text}` : ` ${what}`;
  return `${name.split("#")[0]}  ${author}${said}  (${holders.join(", ") || "nobody"})`;
}

/** A list for each node, side by side, in the order in which a chat shows events; gaps are marked. */
export class Timelines {
  /** @param {HTMLElement} element @param {Rows} rows @param {{most?: number}} [options] */
  constructor(element, rows, options = {}) {
    this.element = element;
    this.rows = rows;
    this.most = options.most ?? 200; // the last events that are listed
    element.classList.add("timelines");
  }

  /** @param {number} t us */
  at(t) {
    const { rows } = this;
    const order = rows.known(t).sort((one, other) => before(rows.refs[one], rows.refs[other])).slice(-this.most);
    const held = holdings(rows, t, order);
    this.element.replaceChildren(...rows.nodes.map((node, lane) => {
      const list = document.createElement("ol"), head = document.createElement("strong");
      const column = document.createElement("div");
      const lacks = order.length - sum(held[lane]);
      head.textContent = lacks ? `${node}: lacks ${lacks}` : node;
      list.append(...order.map((ref, at) => {
        const item = document.createElement("li"), [, author, text, what] = rows.refs[ref];
        item.textContent = `${held[lane][at] ? "" : "lacks "}${author}: ${what === "posted" ? text : what}`;
        item.classList.toggle("lacks", !held[lane][at]);
        return item;
      }));
      column.append(head, list);
      return column;
    }));
  }
}

/** The order of timelines: by stamp, then by origin. @param {import("./rows.js").Message} one
 * @param {import("./rows.js").Message} other */
function before(one, other) {
  return one[4] - other[4] || one[5] - other[5] || (one[0] < other[0] ? -1 : 1);
}
