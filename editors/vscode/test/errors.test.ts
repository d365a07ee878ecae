import assert from "node:assert/strict";
import { test } from "node:test";
import { errorText, wireError } from "../src/text/errors";
import { claim } from "./samples";

test("a typed error keeps its kind, hints and owner", () => {
  const { token: _, ...owner } = claim();
  const data = { kind: "conflict", message: "feat-x is held", hints: ["wait", 3], owner };
  const error = wireError(Object.assign(new Error("other"), { code: -32003, data }));
  assert.deepEqual(error, { kind: "conflict", message: "feat-x is held", hints: ["wait"], owner });
  assert.equal(errorText(error), "feat-x is held. What helps: wait.");
});

test("whatever else is thrown becomes an internal error", () => {
  assert.deepEqual(wireError(new Error("boom")), { kind: "internal", message: "boom", hints: [] });
  assert.deepEqual(wireError("boom"), { kind: "internal", message: "boom", hints: [] });
  assert.equal(wireError({ data: { kind: "later", message: "x" } }).kind, "internal");
});
