import assert from "node:assert/strict";
import { test } from "node:test";
import { artifactFileName, artifactRow, sizeWords } from "../src/text/artifact";
import type { InboxScope } from "../src/protocol";
import { inboxChoices } from "../src/text/inbox";
import { progressWords, questionRow, sessionRow, usageBrief, usageWords } from "../src/text/session";
import { openedWords, requestNumber } from "../src/text/review";
import { activity, containing, inOrder, worktreeRow } from "../src/text/worktree";
import { claim, ME, now, own, question, session, worktree } from "./samples";

test("a worktree's row tells owner and changes in short", () => {
  const status = { staged: 1, modified: 3, untracked: 2, conflicted: 1, ahead: 2, behind: 4, inProgress: "cherry_pick" };
  const row = worktreeRow(worktree({ claim: claim(), status }), own, true, now);
  assert.equal(row.description, "here · claude-1 since 14:02 · ↑2 ↓4 +1 ~3 ?2 !1 cherry-pick");
  assert.equal(row.icon, "lock");
  assert.equal(row.context, "worktree ready held removable here");
});

test("a worktree's row tells whose work does not fit", () => {
  const row = worktreeRow(worktree({ conflictsWith: ["feat-y", "main"] }), own, false, now);
  assert.equal(row.description, "conflicts with feat-y, main");
});

test("a worktree's activity is its last commit or a newer claim", () => {
  const commit = { id: "0".repeat(40), summary: "one", time: "2026-11-21T10:00:00Z" };
  assert.equal(activity(worktree({ lastCommit: null }), now), "");
  const told = activity(worktree({ lastCommit: commit }), now);
  assert.match(told, /^active /);
  assert.equal(activity(worktree({ lastCommit: commit, claim: claim({ since: "2026-11-20T10:00:00Z" }) }), now), told);
  const later = claim({ since: "2026-11-21T12:30:00Z" });
  assert.notEqual(activity(worktree({ lastCommit: commit, claim: later }), now), told);
});

test("numbers of requests are read from what people paste", () => {
  for (const text of ["7", " #7 ", "!7", "https://github.com/a/b/pull/7", "https://gitlab.com/a/b/-/merge_requests/7/diffs#x"]) {
    assert.equal(requestNumber(text), 7, text);
  }
  for (const text of ["", "0", "-7", "seven", "7.5", "https://github.com/a/b/issues/7"]) {
    assert.equal(requestNumber(text), undefined, text);
  }
});

test("what was opened is told with title, author and what became of it", () => {
  const review = { number: 7, remote: "origin", head: "c", title: "Sheep", author: "bob", state: "merged", source: "gh" };
  const opened = { worktree: worktree({ name: "review-7" }), created: true, updated: false, review, notes: ["request 7 is merged"] };
  assert.equal(openedWords(opened as never), "Opened review-7: Sheep (bob, merged). request 7 is merged");
});

test("a free and clean worktree has nothing to tell", () => {
  const row = worktreeRow(worktree(), own, false, now);
  assert.equal(row.description, "");
  assert.equal(row.context, "worktree ready free removable");
});

test("mine, dead, trunk and missing worktrees look different", () => {
  const look = (change: Parameters<typeof worktree>[0]) => {
    const { icon, description, context } = worktreeRow(worktree(change), own, false, now);
    return [icon, description, context];
  };
  assert.deepEqual(look({ claim: claim({ agentId: ME }) }), ["pass-filled", "mine", "worktree ready held removable"]);
  assert.deepEqual(look({ claim: claim({ alive: false }) }), ["warning", "claude-1 is dead", "worktree ready held removable"]);
  assert.deepEqual(look({ trunk: true }), ["git-branch", "", "worktree ready free"]);
  assert.deepEqual(look({ state: "missing", status: null }), ["question", "folder is gone", "worktree missing free removable"]);
});

test("an owner whose life cannot be proven is not called dead", () => {
  assert.equal(worktreeRow(worktree({ claim: claim({ alive: "unknown" }) }), own, false, now).icon, "lock");
});

test("trunk comes first, then what is mine, then by name", () => {
  const names = inOrder(
    [
      worktree({ name: "b" }),
      worktree({ name: "z", claim: claim({ agentId: ME }) }),
      worktree({ name: "a" }),
      worktree({ name: "trunk-main", trunk: true }),
    ],
    own,
  ).map((one) => one.name);
  assert.deepEqual(names, ["trunk-main", "z", "a", "b"]);
});

test("a file belongs to the innermost worktree around it", () => {
  const outer = worktree({ id: "outer", path: "/code/app" });
  const inner = worktree({ id: "inner", path: "/code/app/trees/x" });
  assert.equal(containing("/code/app/trees/x/src/a.rs", [outer, inner])?.id, "inner");
  assert.equal(containing("/code/app/src/a.rs", [inner, outer])?.id, "outer");
  assert.equal(containing("/code/app", [outer])?.id, "outer");
  assert.equal(containing("/code/app2/a.rs", [outer, inner]), undefined);
});

test("markdown in names is shown and not obeyed", () => {
  const row = worktreeRow(worktree({ name: "feat-[x](command:evil)" }), own, false, now);
  assert.ok(row.tooltip.includes("\\[x\\]\\(command:evil\\)"), row.tooltip);
});

test("a session's row tells where, with whom and how it stands", () => {
  assert.equal(sessionRow(session(), now).description, "feat-x · local · in progress");
  assert.equal(sessionRow(session({ status: "completed" }), now).description, "feat-x · local · 15:00");
  assert.equal(sessionRow(session({ status: "interrupted", worktree: null }), now).description, "local · interrupted");
  assert.equal(sessionRow(session(), now).context, "session running in_progress");
  assert.equal(sessionRow(session({ status: "parked" }), now).context, "session over parked");
  assert.equal(sessionRow(session({ title: "" }), now).label, "Session 0192f0c4");
});

test("usage and progress read as sentences", () => {
  assert.equal(usageWords({ inputTokens: 12, outputTokens: 34, costUsd: 0 }), "12 tokens in, 34 out");
  assert.equal(usageWords({ inputTokens: 12, outputTokens: 34, costUsd: 0.0123 }), "12 tokens in, 34 out, $0.0123");
  const unknown = { inputTokens: 1_200, outputTokens: 34, costUsd: null };
  assert.equal(usageWords(unknown), "1200 tokens in, 34 out, cost unknown");
  assert.equal(usageBrief(unknown, { used: 50_000, window: 200_000 }), "1.2k in · 34 out · cost unknown · 25% of 200.0k");
  assert.equal(usageBrief(unknown, { used: 50_000, window: null }), "1.2k in · 34 out · cost unknown");
  assert.equal(progressWords({ phase: "loading_model", done: 1, total: 3 }), "loading the model, 33%");
  assert.equal(progressWords({ phase: "some_thing", done: 1, total: 0 }), "some thing");
});

test("a question's row has one line however long it is", () => {
  const row = questionRow(question({ question: `a\nb ${"c".repeat(200)}` }), now);
  assert.ok(!row.label.includes("\n"));
  assert.equal([...row.label].length, 80);
});

test("an artifact's row shows the match, or kind, size and time", () => {
  const stored = { id: "0192f0c4-1", title: "Notes", kind: "docs", mediaType: "text/markdown", bytes: 3482, hash: "", session: null, worktree: null, createdAt: now.toISOString() };
  assert.equal(artifactRow(stored, now).description, "docs · 3.4 KiB · 15:00");
  assert.equal(artifactRow({ ...stored, score: 1, snippet: "say   hello" }, now).description, "say hello");
  assert.equal(sizeWords(12), "12 B");
});

test("an artifact's file name makes the editor colour it, and stays a file name", () => {
  const named = (title: string, mediaType: string) => artifactFileName({ title, mediaType, id: "0192f0c4-1" });
  assert.equal(named("Notes", "text/markdown; charset=utf-8"), "Notes.md");
  assert.equal(named("greet.rs", "text/plain"), "greet.rs");
  assert.equal(named("a/b\\c?d#e", "text/plain"), "a b c d e.txt");
  assert.equal(named("", "application/octet-stream"), "0192f0c4.txt");
});

test("a question about a tool has an answer for each scope, a plain one has two", () => {
  const labels = (options?: InboxScope[]) => inboxChoices({ options }).map(({ label, decision, scope }) => `${label}: ${decision} ${scope}`);
  assert.deepEqual(labels(["once", "session", "project"]), [
    "Allow Once: allow once",
    "Allow for Session: allow session",
    "Allow in This Repository: allow project",
    "Deny: deny once",
  ]);
  assert.deepEqual(labels(), ["Allow: allow once", "Deny: deny once"]);
});
