/** How a changed file reads in a list. */

import type { FileDiff, FileStatus } from "../protocol";

const CHANGES: Record<FileStatus, string> = {
  added: "added",
  deleted: "deleted",
  modified: "modified",
  renamed: "renamed",
  type_changed: "type changed",
};

const OMITTED: Record<string, string> = {
  binary: "not text",
  too_large: "too large to show",
  secret: "holds secrets",
  repository: "a repository of its own",
};

export function changeWords(status: FileStatus): string {
  return CHANGES[status];
}

/** Why its lines are not shown; empty where they are. */
export function omittedWords(file: Pick<FileDiff, "omitted">): string {
  return file.omitted ? (OMITTED[file.omitted] ?? file.omitted) : "";
}
