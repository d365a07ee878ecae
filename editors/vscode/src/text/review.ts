/** Numbers of pull requests, and what is said of one that was opened. */

import type { WorktreeReviewed } from "../protocol";

/** The number in `123`, `#123`, `!123` or a request's address; undefined where there is none. */
export function requestNumber(text: string): number | undefined {
  const found = /^\s*(?:[#!]?|https?:\/\/\S+\/(?:pull|pulls|merge_requests|pull-requests)\/)(\d{1,15})(?:[/?#]\S*)?\s*$/.exec(text);
  const number = Number(found?.[1] ?? 0);
  return number > 0 ? number : undefined;
}

/** `Opened review-7: Count the sheep (bob, merged).` and the notes. */
export function openedWords(opened: WorktreeReviewed): string {
  const { review, worktree } = opened;
  const verb = opened.created ? "Opened" : opened.updated ? "Updated" : "Found";
  const facts = [review.author, review.state === "open" ? null : review.state].filter(Boolean).join(", ");
  const title = review.title ? `: ${review.title}` : "";
  return [`${verb} ${worktree.name}${title}${facts === "" ? "" : ` (${facts})`}.`, ...(opened.notes ?? [])].join(" ");
}
