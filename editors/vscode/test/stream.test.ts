import assert from "node:assert/strict";
import { test } from "node:test";
import { Follow } from "../src/stream/follow";
import { Refresher } from "../src/stream/refresher";

test("an editor follows until the cursor leaves the end, and again when it is back", () => {
  const follow = new Follow();
  assert.ok(follow.wanted);
  follow.cursorMoved(false);
  assert.ok(!follow.wanted);
  follow.cursorMoved(true);
  assert.ok(follow.wanted);
});

test("scrolling up stops following, scrolling back to the end resumes it", () => {
  const follow = new Follow();
  follow.scrolled(10, true);
  follow.scrolled(4, false);
  assert.ok(!follow.wanted);
  follow.scrolled(20, true);
  assert.ok(follow.wanted);
});

test("a panel that covers the end does not stop following", () => {
  const follow = new Follow();
  follow.scrolled(10, true);
  follow.scrolled(10, false);
  assert.ok(follow.wanted);
});

test("a burst of requests costs two reads, and the last begins after the last request", async () => {
  let reads = 0;
  let release: () => void = () => {};
  const refresher = new Refresher(
    () =>
      new Promise((done) => {
        reads += 1;
        release = done;
      }),
    (error) => assert.fail(String(error)),
  );
  refresher.request();
  for (let n = 0; n < 50; n += 1) {
    refresher.request();
  }
  const settled = refresher.settled();
  assert.equal(reads, 1);
  release();
  await new Promise(setImmediate);
  assert.equal(reads, 2);
  release();
  await settled;
  assert.equal(reads, 2);
});

test("a read that fails is reported, and the next one runs", async () => {
  const failures: unknown[] = [];
  let fail = true;
  const refresher = new Refresher(
    async () => {
      if (fail) {
        throw new Error("no");
      }
    },
    (error) => failures.push(error),
  );
  await refresher.settled();
  fail = false;
  await refresher.settled();
  assert.equal(failures.length, 1);
});
