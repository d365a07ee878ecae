import assert from "node:assert/strict";
import { test } from "node:test";
import { absentIndicator, claimIndicator } from "../src/text/statusLine";
import { claim, line, ME, now, worktree } from "./samples";

const held = { agentId: "claude-1", since: claim().since };

test("each state of a claim has its own text, icon and colour", () => {
  const shown = (state: "free" | "mine" | "other" | "dead" | "off") => {
    const { text, color, background } = claimIndicator(line({ state, ...(state === "free" ? {} : held) }), undefined, "full", now);
    return [text, color, background];
  };
  assert.deepEqual(shown("free"), ["$(unlock) feat-x: free", undefined, undefined]);
  assert.deepEqual(shown("mine"), ["$(pass-filled) feat-x: mine", "podium.claim.mine", undefined]);
  assert.deepEqual(shown("other"), ["$(lock) feat-x: claude-1 since 14:02", undefined, "warning"]);
  assert.deepEqual(shown("dead"), ["$(warning) feat-x: claude-1 is dead", undefined, "error"]);
  assert.deepEqual(shown("off"), ["$(circle-slash) Podium", undefined, undefined]);
});

test("an owner whom the list of worktrees knows to be dead is shown as dead", () => {
  const shown = (alive: boolean | "unknown") =>
    claimIndicator(line({ state: "other", ...held }), worktree({ claim: claim({ alive }) }), "full", now).background;
  assert.equal(shown(false), "error");
  assert.equal(shown(true), "warning");
  assert.equal(shown("unknown"), "warning");
});

test("compact leaves the worktree out", () => {
  assert.equal(claimIndicator(line({ state: "other", ...held }), undefined, "compact", now).text, "$(lock) claude-1");
});

test("running sessions are counted, and the label for screen readers has no icons", () => {
  const { text, label } = claimIndicator(line({ state: "mine", agentId: ME, sessions: 2 }), undefined, "full", now);
  assert.equal(text, "$(pass-filled) feat-x: mine  $(sync~spin) 2");
  assert.equal(label, "feat-x: mine 2");
});

test("the tooltip has the owner's facts once the worktree is known", () => {
  const busy = worktree({ claim: claim(), conflictsWith: ["fix-y"], status: { staged: 0, modified: 3, untracked: 1, conflicted: 0, ahead: 2, behind: 0 } });
  const { tooltip } = claimIndicator(line({ state: "other", ...held, sessions: 1 }), busy, "full", now);
  for (const fact of ["Held by claude\\-1 since 14:02", "On lab", "Process 4711", "3 modified, 1 untracked", "2 commits ahead", "1 session runs", "fix\\-y"]) {
    assert.ok(tooltip.includes(fact), `${fact} in ${tooltip}`);
  }
});

test("without a server the indicator says why and what a click does", () => {
  assert.equal(absentIndicator("missing").command, "podium.ui.openSettings");
  assert.equal(absentIndicator("asleep").command, "podium.ui.wake");
  assert.equal(absentIndicator("failed").command, "podium.ui.restart");
  assert.equal(absentIndicator("untrusted").command, "workbench.trust.manage");
});
