// What the pages share besides drawings: elements, and a row in words.

import { clock } from "./axis.js";
import { described } from "./matrix.js";

/** @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** An element with text or others in it. Text is never markup. @param {string} tag @param {object} given
 * its properties, as `className` @param {(string | Node)[]} inside @returns {any} */
export function make(tag, given, ...inside) {
  const element = Object.assign(document.createElement(tag), given);
  element.append(...inside);
  return element;
}

/** What happened in a row, in words. @param {import("./rows.js").Rows} rows @param {number} row
 * @param {string} [name] of its event, in a story */
export function said(rows, row, name = "") {
  const kind = rows.kinds[rows.kind[row]], ref = rows.ref[row], peer = rows.peer[row];
  const where = rows.lane[row] < 0 ? "the run" : rows.nodes[rows.lane[row]];
  const to = peer < 0 ? "" : ` ${kind === "recv" ? "from" : "to"} ${rows.nodes[peer]}`;
  const text = rows.text[row] < 0 ? "" : `: ${rows.texts[rows.text[row]]}`;
  const about = ref < 0 ? "" : `, ${name && `${name} `}${described(rows, ref, rows.t[row])}`;
  return `${clock(rows.t[row])} ${where} ${kind}${to}${text}${about}`;
}
