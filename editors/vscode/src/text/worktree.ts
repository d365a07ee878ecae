/** Rows of the Worktrees view. */

import type { TreeStatus, Worktree } from "../protocol";
import { heldBy, ownerFacts, standing, type OwnNames, type Standing } from "./claim";
import { plain } from "./markdown";
import { clock } from "./time";

export interface Row {
  label: string;
  description: string;
  /** Markdown. */
  tooltip: string;
  icon: string;
  color?: string;
  /** Words that menus ask for: `worktree ready free removable here`. */
  context: string;
}

export function worktreeRow(worktree: Worktree, own: OwnNames, here: boolean, now: Date): Row {
  const whose = standing(worktree.claim, own);
  const look = worktree.state === "ready" ? LOOKS[whose] : { icon: worktree.state === "filling" ? "loading~spin" : "question" };
  return {
    label: worktree.name,
    description: description(worktree, whose, here, now),
    tooltip: tooltip(worktree, whose, now),
    context: contextWords(worktree, whose, here),
    ...look,
  };
}

const LOOKS: Record<Standing, { icon: string; color?: string }> = {
  free: { icon: "git-branch" },
  mine: { icon: "pass-filled", color: "podium.claim.mine" },
  other: { icon: "lock", color: "podium.claim.other" },
  dead: { icon: "warning", color: "podium.claim.dead" },
};

function description(worktree: Worktree, whose: Standing, here: boolean, now: Date): string {
  const parts = here ? ["here"] : [];
  if (worktree.state !== "ready") {
    parts.push(worktree.state === "filling" ? "files are arriving" : "folder is gone");
  }
  if (whose === "mine") {
    parts.push("mine");
  } else if (worktree.claim !== null) {
    parts.push(whose === "dead" ? `${worktree.claim.agentId} is dead` : heldBy(worktree.claim, now));
  }
  const counts = worktree.status === null ? "" : countsInSigns(worktree.status);
  if (counts !== "") {
    parts.push(counts);
  }
  if (worktree.conflictsWith.length > 0) {
    parts.push(`conflicts with ${worktree.conflictsWith.join(", ")}`);
  }
  return parts.join(" · ");
}

/** `active 14:02`: its last commit or, if that is newer, its claim. */
export function activity(worktree: Worktree, now: Date): string {
  const times = [worktree.lastCommit?.time, worktree.claim?.since].filter((time) => time !== undefined);
  const newest = times.sort((a, b) => Date.parse(b) - Date.parse(a))[0];
  return newest === undefined ? "" : `active ${clock(newest, now)}`;
}

/** `↑2 ↓1 +1 ~3 ?2 !1`: ahead, behind, staged, modified, untracked, conflicted; nothing for zeros. */
export function countsInSigns(status: TreeStatus): string {
  const signs: [string, number][] = [
    ["↑", status.ahead],
    ["↓", status.behind],
    ["+", status.staged],
    ["~", status.modified],
    ["?", status.untracked],
    ["!", status.conflicted],
  ];
  const shown = signs.filter(([, count]) => count > 0).map(([sign, count]) => `${sign}${count}`);
  if (status.inProgress) {
    shown.push(status.inProgress.replace("_", "-"));
  }
  return shown.join(" ");
}

/** `3 modified, 1 untracked; 2 commits ahead of trunk`. */
export function countsInWords(status: TreeStatus): string {
  const paths: [number, string][] = [
    [status.staged, "staged"],
    [status.modified, "modified"],
    [status.untracked, "untracked"],
    [status.conflicted, "in conflict"],
  ];
  const dirty = paths.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  const parts = [dirty.length === 0 ? "No changes" : dirty.join(", ")];
  if (status.ahead > 0) {
    parts.push(`${commits(status.ahead)} ahead of trunk`);
  }
  if (status.behind > 0) {
    parts.push(`${commits(status.behind)} behind`);
  }
  if (status.inProgress) {
    parts.push(`in the middle of a ${status.inProgress.replace("_", "-")}`);
  }
  return parts.join("; ");
}

function commits(count: number): string {
  return count === 1 ? "1 commit" : `${count} commits`;
}

function tooltip(worktree: Worktree, whose: Standing, now: Date): string {
  const lines = [`**${plain(worktree.name)}**${worktree.branch === null ? " (no branch)" : ` on ${plain(worktree.branch)}`}`];
  lines.push(plain(worktree.path));
  if (worktree.claim === null) {
    lines.push("Nobody has claimed it");
  } else {
    lines.push(...(whose === "mine" ? ["You hold it"] : []), ...ownerFacts(worktree.claim, now).map(plain));
  }
  if (worktree.status !== null) {
    lines.push(plain(countsInWords(worktree.status)));
  }
  if (worktree.lastCommit !== null) {
    const { id, summary, time } = worktree.lastCommit;
    lines.push(`\`${id.slice(0, 8)}\` ${plain(summary)} (${clock(time, now)})`);
  }
  if (worktree.pr !== null) {
    lines.push(`Made from pull request ${worktree.pr}`);
  }
  if (worktree.conflictsWith.length > 0) {
    lines.push(`Changes the same lines as ${worktree.conflictsWith.map(plain).join(", ")}`);
  }
  return lines.join("\n\n");
}

function contextWords(worktree: Worktree, whose: Standing, here: boolean): string {
  const words = ["worktree", worktree.state, whose === "free" ? "free" : "held"];
  if (!worktree.trunk) {
    words.push("removable");
  }
  if (here) {
    words.push("here");
  }
  return words.join(" ");
}

/** Trunk first, then what is claimed by this editor, then by name. */
export function inOrder(worktrees: readonly Worktree[], own: OwnNames): Worktree[] {
  const rank = (worktree: Worktree): number => (worktree.trunk ? 0 : standing(worktree.claim, own) === "mine" ? 1 : 2);
  return [...worktrees].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

/** The worktree that a path lies in: the innermost one. */
export function containing(path: string, worktrees: readonly Worktree[]): Worktree | undefined {
  let found: Worktree | undefined;
  for (const worktree of worktrees) {
    if (isInside(path, worktree.path) && (found === undefined || worktree.path.length > found.path.length)) {
      found = worktree;
    }
  }
  return found;
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") || folder.endsWith("\\") ? folder : `${folder}/`)
    || path.startsWith(`${folder}\\`);
}
