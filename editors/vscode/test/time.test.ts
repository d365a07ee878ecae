import assert from "node:assert/strict";
import { test } from "node:test";
import { clock } from "../src/text/time";

const now = new Date(2026, 10, 21, 15, 0);

test("a time of today is told by the clock, an older one with its day", () => {
  assert.equal(clock(new Date(2026, 10, 21, 9, 5).toISOString(), now), "09:05");
  assert.equal(clock(new Date(2026, 10, 20, 23, 59).toISOString(), now), "Nov 20, 23:59");
  assert.equal(clock(new Date(2025, 0, 2, 3, 4).toISOString(), now), "Jan 2 2025");
});

test("what is no time is shown as it is", () => {
  assert.equal(clock("yesterday", now), "yesterday");
});
