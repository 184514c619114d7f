// Rows: the events of a run as typed arrays, as `lab.view.columns` describes them, and what follows
// from them: who shows what, who lacks how much, and what could have caused what.

const NUMBERS = /** @type {const} */ (["t", "seq", "lane", "kind", "cause", "peer", "ref", "text", "bytes"]);

/** @typedef {[ref: string, author: string, text: string, what: string, ms: number, counter: number]} Message */
/** @typedef {{nodes?: string[], kinds?: string[], refs?: Message[], texts?: string[], t: number[],
 *   seq: number[], lane: number[], kind: number[], cause: number[], peer: number[], ref: number[],
 *   text: number[], bytes: number[]}} Columns */

export class Rows {
  t = new Float64Array(0); // us
  seq = new Int32Array(0);
  lane = new Int16Array(0);
  kind = new Uint8Array(0);
  cause = new Int32Array(0);
  peer = new Int16Array(0);
  ref = new Int32Array(0);
  text = new Int32Array(0);
  bytes = new Int32Array(0);
  length = 0;
  flightMax = 0; // us: the longest time of a packet on its way
  /** @type {string[]} */ nodes = [];
  /** @type {string[]} */ kinds = [];
  /** @type {Message[]} */ refs = [];
  /** @type {string[]} */ texts = [];
  /** @type {number[][]} */ showings = []; // by ref: rows that begin or end a showing
  /** @type {number[]} */ changes = []; // all of these rows
  /** @type {number[]} */ news = []; // rows in which an event came to a node from another
  /** @type {Record<string, number>} */ code = {}; // kind by name

  /** @param {Columns} columns */
  static from(columns) {
    return new Rows().append(columns);
  }

  /** @param {number} size */
  room(size) {
    for (const name of NUMBERS) {
      const old = /** @type {any} */ (this[name]), grown = new old.constructor(size);
      grown.set(old.subarray(0, this.length));
      this[name] = grown;
    }
  }

  /** Add a chunk: its nodes, refs and texts are those that are new. @param {Columns} columns */
  append(columns) {
    this.nodes.push(...(columns.nodes ?? []));
    for (const one of columns.refs ?? []) this.refs.push(one);
    for (const one of columns.texts ?? []) this.texts.push(one);
    if (columns.kinds?.length) this.kinds = columns.kinds;
    this.kinds.forEach((name, index) => (this.code[name] = index));
    const from = this.length, more = columns.t.length;
    if (from + more > this.t.length) this.room(Math.max(1024, from + more, 2 * this.t.length));
    for (const name of NUMBERS) {
      const put = this[name], given = columns[name];
      for (let at = 0; at < more; at++) put[from + at] = given[at];
    }
    for (let row = from, end = from + more; row < end; row++) {
      if (row > 0) {
        this.t[row] += this.t[row - 1];
        this.seq[row] += this.seq[row - 1];
      }
      if (this.begins(row) || this.kind[row] === this.code.lost) {
        (this.showings[this.ref[row]] ??= []).push(row);
        this.changes.push(row);
      } else if (this.arrives(row)) {
        this.flightMax = Math.max(this.flightMax, this.t[row] - this.t[this.cause[row]]);
      }
      if (this.brings(row)) this.news.push(row);
    }
    this.length = from + more;
    return this;
  }

  get end() {
    return this.length ? this.t[this.length - 1] : 0;
  }

  /** Whether a node shows an event from this row on. @param {number} row */
  begins(row) {
    return this.kind[row] === this.code.visible || this.kind[row] === this.code.recovered;
  }

  /** Whether the row is the end of an arrow: a packet comes, or is known to be lost. @param {number} row */
  arrives(row) {
    const kind = this.kind[row];
    return this.cause[row] >= 0 && (kind === this.code.recv || kind === this.code.drop);
  }

  /** Whether an event came to a node from another one. @param {number} row */
  brings(row) {
    const cause = this.cause[row], { handed, visible } = this.code;
    if ((this.kind[row] !== handed && this.kind[row] !== visible) || cause < 0) return false;
    return this.arrives(cause) || (this.lane[cause] !== this.lane[row] && this.lane[cause] >= 0);
  }

  /** The number of rows before time `t`, or up to and with it if `after`. @param {number} t */
  before(t, after = false) {
    return firstThat(this.length, (row) => this.t[row] > t || (!after && this.t[row] === t));
  }

  /** The first row of the event at this place in the trace, or the next one. @param {number} seq */
  rowOf(seq) {
    return Math.min(firstThat(this.length, (row) => this.seq[row] >= seq), this.length - 1);
  }

  /** The lanes that show an event at time `t`. @param {number} ref @param {number} t */
  holders(ref, t) {
    /** @type {Set<number>} */ const lanes = new Set();
    for (const row of this.showings[ref] ?? []) {
      if (this.t[row] > t) break;
      if (this.begins(row)) lanes.add(this.lane[row]);
      else lanes.delete(this.lane[row]);
    }
    return lanes;
  }

  /** The events that some node has shown by time `t` and this lane does not show then, as indices of
   * refs in the order in which they came about. @param {number} lane @param {number} t */
  lacks(lane, t) {
    return this.known(t).filter((ref) => !this.holders(ref, t).has(lane));
  }

  /** The events that some node has shown by time `t`. @param {number} t */
  known(t) {
    return this.refs.map((_, ref) => ref).filter((ref) => this.showings[ref] && this.t[this.showings[ref][0]] <= t);
  }

  /** Calls `on(row, known, held)` after each row that changes who shows what; `held` counts by lane.
   * @param {(row: number, known: number, held: Int32Array) => void} on */
  sweep(on) {
    const held = new Int32Array(this.nodes.length);
    let known = 0;
    for (const row of this.changes) {
      held[this.lane[row]] += this.begins(row) ? 1 : -1;
      if (this.showings[this.ref[row]][0] === row) known++;
      on(row, known, held);
    }
  }

  /** What may have led to this row (happened before it): by lane, the last row that did, or -1.
   * Rows of a lane come one after another, and a row comes after its cause. @param {number} row */
  past(row) {
    const last = new Int32Array(this.nodes.length + 1).fill(-1); // the run itself: index 0
    last[this.lane[row] + 1] = row;
    for (let at = row; at >= 0; at--) {
      const lane = this.lane[at] + 1, cause = this.cause[at];
      if (at > last[lane] || cause < 0 || lane === 0) continue;
      const from = this.lane[cause] + 1;
      if (cause > last[from]) last[from] = cause;
    }
    return last.subarray(1);
  }

  /** What this row may have led to: by lane, the first row that may come of it, or `length`.
   * @param {number} row */
  future(row) {
    const first = new Int32Array(this.nodes.length + 1).fill(this.length);
    first[this.lane[row] + 1] = row;
    for (let at = row + 1; at < this.length; at++) {
      const lane = this.lane[at] + 1, cause = this.cause[at];
      if (cause < 0 || at >= first[lane] || lane === 0 || this.kind[at] === this.code.drop) continue;
      const from = this.lane[cause] + 1;
      if (from > 0 && cause >= first[from]) first[lane] = at;
    }
    return first.subarray(1);
  }
}

/** The first of 0 to `length` - 1 that fits, where all after one that fits do; `length` if none does.
 * @param {number} length @param {(at: number) => boolean} fits */
export function firstThat(length, fits) {
  let low = 0, high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
