// Unit tests of rows.js: chunks, holders, cones; and of the levels of detail.
import assert from "node:assert/strict";
import { test } from "node:test";

import { lags, missing, traffic } from "../../../../lab/web/static/curves.js";
import { EVENTS_MAX, NEWS_MAX, bandsOf, downsOf, levelOf } from "../../../../lab/web/static/diagram.js";
import { Rows } from "../../../../lab/web/static/rows.js";

const KINDS = ["invoke", "handed", "visible", "send", "recv", "drop", "crash", "boot", "lost", "recovered",
  "fault", "healed", "pause", "resume", "stop", "note"];

// [t, lane, kind, cause, peer, ref, bytes]: a posts, b hears of it, c does not and dies.
const STORY = [
  [10, 0, "invoke", -1],
  [11, 0, "handed", 0, -1, 0],
  [12, 0, "visible", 1, -1, 0],
  [13, 0, "send", 2, 1, -1, 100],
  [13, 0, "send", 2, 2, -1, 100],
  [14, 0, "drop", 4, 2],
  [15, -1, "fault", -1],
  [20, 1, "recv", 3, 0],
  [20, 1, "handed", 7, -1, 0],
  [21, 1, "visible", 8, -1, 0],
  [30, 2, "crash", -1],
  [40, -1, "healed", 6],
  [50, 2, "boot", -1],
  [50, 2, "recovered", 12, -1, 0],
  [60, 1, "lost", -1, -1, 0],
  [70, 2, "note", -1],
];

function columns(story = STORY) {
  const deltas = (values) => values.map((value, at) => value - (at ? values[at - 1] : 0));
  return {
    kinds: KINDS,
    nodes: ["a", "b", "c"],
    refs: [["a.1:1#x", "ana", "hello", "posted", 5, 0]],
    texts: ["loss"],
    t: deltas(story.map((row) => row[0])),
    seq: deltas(story.map((_, at) => 2 * at)),
    lane: story.map((row) => row[1]),
    kind: story.map((row) => KINDS.indexOf(row[2])),
    cause: story.map((row) => row[3]),
    peer: story.map((row) => row[4] ?? -1),
    ref: story.map((row) => row[5] ?? -1),
    text: story.map((row) => (row[2] === "fault" ? 0 : -1)),
    bytes: story.map((row) => row[6] ?? 0),
  };
}

test("times and places are sums of differences", () => {
  const rows = Rows.from(columns());
  assert.equal(rows.length, STORY.length);
  assert.deepEqual([...rows.t.subarray(0, rows.length)], STORY.map((row) => row[0]));
  assert.equal(rows.end, 70);
  assert.equal(rows.flightMax, 7);
  assert.equal(rows.rowOf(8), 4);
  assert.equal(rows.rowOf(7), 4);
  assert.equal(rows.rowOf(1e9), rows.length - 1);
  assert.deepEqual([rows.before(13), rows.before(13, true)], [3, 5]);
});

test("chunks put together are the whole", () => {
  const whole = columns(), rows = new Rows();
  for (let from = 0; from < STORY.length; from += 3) {
    const chunk = { kinds: KINDS, nodes: from ? [] : whole.nodes, refs: from ? [] : whole.refs, texts: [] };
    for (const name of ["t", "seq", "lane", "kind", "cause", "peer", "ref", "text", "bytes"]) {
      chunk[name] = whole[name].slice(from, from + 3);
    }
    rows.append(chunk);
  }
  const at_once = Rows.from(whole);
  for (const name of ["t", "seq", "lane", "cause", "ref"]) {
    assert.deepEqual(rows[name].subarray(0, rows.length), at_once[name].subarray(0, rows.length));
  }
  assert.deepEqual(rows.showings, at_once.showings);
});

test("thousands of rows find room", () => {
  const rows = new Rows();
  for (let chunk = 0; chunk < 300; chunk++) rows.append(columns());
  assert.equal(rows.length, 300 * STORY.length);
  assert.equal(rows.end, 300 * 70);
});

test("who shows an event, and who lacks it", () => {
  const rows = Rows.from(columns());
  assert.deepEqual([...rows.holders(0, 11)], []);
  assert.deepEqual([...rows.holders(0, 12)], [0]);
  assert.deepEqual([...rows.holders(0, 21)], [0, 1]);
  assert.deepEqual([...rows.holders(0, 50)], [0, 1, 2]);
  assert.deepEqual([...rows.holders(0, 60)], [0, 2]);
  assert.deepEqual(rows.lacks(1, 11), []);
  assert.deepEqual(rows.lacks(1, 12), [0]);
  assert.deepEqual(rows.lacks(1, 21), []);
  assert.deepEqual(rows.lacks(1, 60), [0]);
});

/** Happened before, by definition: the order of a lane, and causes. */
function reached(rows, from, forwards) {
  const found = new Set([from]), lane = new Map(), before = [];
  for (let row = 0; row < rows.length; row++) {
    const own = rows.lane[row] >= 0 ? lane.get(rows.lane[row]) : undefined;
    before.push([own, rows.cause[row]].filter((one) => one !== undefined && one >= 0 && rows.lane[one] >= 0));
    lane.set(rows.lane[row], row);
  }
  if (forwards) {
    for (let row = from + 1; row < rows.length; row++) if (before[row].some((one) => found.has(one))) found.add(row);
  } else {
    for (let row = from; row >= 0; row--) if (found.has(row)) before[row].forEach((one) => found.add(one));
  }
  return found;
}

test("cones are what happened before and after", () => {
  const rows = Rows.from(columns());
  for (let row = 0; row < rows.length; row++) {
    if (rows.lane[row] < 0) continue;
    const past = rows.past(row), future = rows.future(row);
    for (let other = 0; other < rows.length; other++) {
      const lane = rows.lane[other];
      if (lane < 0) continue;
      assert.equal(other <= past[lane], reached(rows, row, false).has(other), `past ${row} ${other}`);
      assert.equal(other >= future[lane], reached(rows, row, true).has(other), `future ${row} ${other}`);
    }
  }
});

test("faults are bands, and nodes are down between lives", () => {
  const [band, ...more] = bandsOf(Rows.from(columns()));
  assert.deepEqual([band.t0, band.t1, band.lanes, band.text, band.level], [15, 40, [], "loss", 0]);
  assert.deepEqual(more, []);
  assert.deepEqual(downsOf(Rows.from(columns())), [[2, 30, 50, false]]);
  const paused = [[1, 0, "pause", -1], [5, 0, "resume", -1], [6, 1, "pause", -1], [9, 1, "crash", -1]];
  assert.deepEqual(downsOf(Rows.from(columns(paused))), [[0, 1, 5, true], [1, 6, 9, true], [1, 9, Infinity, false]]);
});

test("faults at the same time have ribbons of their own", () => {
  const story = [0, 1, 2, 3, 4, 5].map((t) => [t, 0, "fault", -1]);
  story.push([6, 0, "healed", 0], [7, 0, "fault", -1]);
  assert.deepEqual(bandsOf(Rows.from(columns(story))).map((band) => band.level), [0, 1, 2, 3, 3, 3, 0]);
});

test("the level of detail follows what is in sight", () => {
  assert.equal(levelOf(EVENTS_MAX, EVENTS_MAX), "events");
  assert.equal(levelOf(EVENTS_MAX + 1, NEWS_MAX), "news");
  assert.equal(levelOf(EVENTS_MAX + 1, NEWS_MAX + 1), "bars");
});

test("curves: lacking on average, the last showing, bytes a second", () => {
  const rows = Rows.from(columns()), range = { t0: 0, t1: 80 };
  const each = missing(rows, range, 8);
  // a shows it from 12 on; b lacks it from then to 21 and from 60 on; c from 12 to 50.
  assert.deepEqual([...each.subarray(0, 8)], [0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...each.subarray(8, 16)].map((one) => +one.toFixed(6)), [0, 0.8, 0.1, 0, 0, 0, 1, 0]);
  assert.deepEqual([...each.subarray(16, 24)].map((one) => +one.toFixed(6)), [0, 0.8, 1, 1, 1, 0, 0, 0]);
  assert.deepEqual([...lags(rows, range, 8)], [0, 38, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual([...traffic(rows, range, 8)], [0, (200 / 10) * 1e6, 0, 0, 0, 0, 0, 0]);
});
