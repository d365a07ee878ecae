import assert from "node:assert/strict";
import { test } from "node:test";
import { Transcript } from "../src/stream/transcript";
import { item, session } from "./samples";

const usage = { inputTokens: 3, outputTokens: 5, costUsd: 0 };

test("the document holds the joined text as it was said, across checkpoints", () => {
  const transcript = new Transcript(session());
  const pieces = ["Hello", ",\n\n", "  ```rust\n", "fn a() {}\n", "```", " 😀 *x*\n"];
  let seq = 0;
  transcript.accept({ items: [item(++seq, "prompt", "Say\nhello")] });
  for (const piece of pieces) {
    transcript.accept({ items: [item(++seq, "text", piece), item(++seq, "checkpoint", "")] });
  }
  assert.equal(transcript.text, pieces.join(""));
  assert.ok(transcript.render().includes(`> Say\n> hello\n\n${pieces.join("")}`), transcript.render());
});

test("while a session runs the document only grows at its end", () => {
  const transcript = new Transcript(session());
  let before = "";
  for (let seq = 1; seq <= 20; seq += 1) {
    transcript.accept({ items: [item(seq, seq === 1 ? "prompt" : seq % 7 === 0 ? "tool_call" : "text", `piece ${seq} `)] });
    const now = transcript.render();
    assert.ok(now.startsWith(before), `${JSON.stringify(before)} begins ${JSON.stringify(now)}`);
    before = now;
  }
});

test("items that come twice are shown once", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [item(1, "text", "one "), item(2, "text", "two ")] });
  assert.equal(transcript.accept({ items: [item(2, "text", "two "), item(3, "text", "three")] }), "shown");
  assert.equal(transcript.text, "one two three");
  assert.equal(transcript.lastSeq, 3);
});

test("a missing item is noticed, and nothing after it is shown", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [item(1, "text", "one ")] });
  assert.equal(transcript.accept({ items: [item(3, "text", "three")] }), "gap");
  assert.equal(transcript.text, "one ");
  assert.equal(transcript.accept({ items: [item(2, "text", "two "), item(3, "text", "three")] }), "shown");
  assert.equal(transcript.text, "one two three");
});

test("progress is shown until something is said", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [], progress: { phase: "loading_model", done: 1, total: 2 } });
  assert.match(transcript.render(), /\*loading the model, 50%…\*$/);
  transcript.accept({ items: [item(1, "text", "Hi")] });
  assert.doesNotMatch(transcript.render(), /loading/);
});

test("the end tells status, usage, changed files and how to go on", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [item(1, "text", "Half an ans")] });
  assert.equal(transcript.accept({ items: [], end: { status: "interrupted", reason: "the daemon died", usage, filesChanged: ["a.rs"] } }), "ended");
  const text = transcript.render();
  assert.match(text, /worktree `feat-x` · \*\*interrupted\*\*/);
  assert.match(text, /Half an ans\n\n---\n\n\*\*interrupted\*\*: the daemon died · 3 tokens in, 5 out/);
  assert.match(text, /Changed: `a\.rs`/);
  assert.match(text, /Finish it with .*`jelmore sessions resume 0192f0c4-/);
});

test("a session that is resumed goes on where its text stopped, without the end", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [item(1, "text", "Half an ans")] });
  transcript.accept({ items: [], end: { status: "interrupted", usage, filesChanged: [] } });
  transcript.describe(session());
  assert.equal(transcript.ended, false);
  transcript.accept({ items: [item(2, "text", "wer.")] });
  assert.ok(transcript.render().endsWith("Half an answer."));
});

test("a description of a session that is over does not take its end away", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [], end: { status: "completed", usage, filesChanged: [] } });
  transcript.describe(session({ status: "completed" }));
  assert.equal(transcript.ended, true);
});

test("tool output is fenced by more backticks than it holds, and cut when it is long", () => {
  const transcript = new Transcript(session());
  transcript.accept({ items: [item(1, "tool_result", "````\nx"), item(2, "tool_result", "line\n".repeat(100))] });
  const text = transcript.render();
  assert.ok(text.includes("`````text\n````\nx\n`````"), text);
  assert.match(text, /… 71 more lines/);
});
