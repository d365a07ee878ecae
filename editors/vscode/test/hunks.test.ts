import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiffHunk } from "../src/protocol";
import { hunkAt, place, without } from "../src/text/hunks";

const BEFORE = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
/** Line 2 became two lines, line 8 is gone. */
const AFTER = ["1", "two", "zwei", "3", "4", "5", "6", "7", "9"];

function hunk(oldStart: number, newStart: number, lines: string[], state: DiffHunk["state"] = "there"): DiffHunk {
  const count = (sign: string): number => lines.filter((line) => line.startsWith(" ") || line.startsWith(sign)).length;
  return { oldStart, oldLines: count("-"), newStart, newLines: count("+"), lines, state };
}

const FIRST = hunk(1, 1, [" 1", "-2", "+two", "+zwei", " 3"]);
const LAST = hunk(7, 8, [" 7", "-8", " 9"]);

test("what was there before is the file without its hunks", () => {
  assert.deepEqual(without(AFTER, place(AFTER, [FIRST, LAST])), BEFORE);
});

test("a hunk is found where others moved it to", () => {
  const moved = ["new", "lines", ...AFTER];
  const placed = place(moved, [FIRST, LAST]);
  assert.deepEqual(placed.map(({ changed }) => changed), [3, 10]);
  assert.deepEqual(without(moved, placed), ["new", "lines", ...BEFORE]);
});

test("one that was taken back shifts those behind it, and one that somebody changed is left alone", () => {
  const rest = ["1", "2", "3", "4", "5", "6", "7", "9"];
  const placed = place(rest, [{ ...FIRST, state: "gone" }, LAST]);
  assert.deepEqual(placed.map(({ hunk: number }) => number), [1]);
  assert.deepEqual(without(rest, placed), BEFORE);
  assert.deepEqual(place(["other", "text"], [FIRST, LAST]), []);
});

test("repeated lines are told apart by where they should be", () => {
  const text = Array.from({ length: 30 }, () => "same");
  const one = hunk(20, 20, [" same", "-was", "+same", " same"]);
  assert.equal(place(text, [one])[0]?.line, 19);
});

test("a cursor means the hunk around it, else the next, else the last", () => {
  const placed = place(AFTER, [FIRST, LAST]);
  assert.deepEqual([0, 2, 5, 8].map((line) => hunkAt(placed, line)?.hunk), [0, 0, 1, 1]);
  assert.equal(hunkAt([], 3), undefined);
});

test("line ends of either kind are the same", () => {
  const one = hunk(1, 1, [" 1\r", "-2\r", "+two\r"]);
  assert.equal(place(["1", "two"], [one]).length, 1);
});
