/**
 * Where the hunks of a diff lie in a file as it is now. Others may have changed the file around them since, so that each is
 * looked for by its lines, nearest to where it should be.
 */

import type { DiffHunk } from "../protocol";

export interface Placed {
  /** Its place in the file's list of hunks. */
  hunk: number;
  /** First line in the file, from 0. */
  line: number;
  /** Lines in the file, with those around the change. */
  count: number;
  /** First line that the change made, or that follows what it took away, from 0. */
  changed: number;
  /** What was there before. */
  before: string[];
}

/** The hunks that are there, in the order of their lines; those that cannot be found are left out. */
export function place(lines: readonly string[], hunks: readonly DiffHunk[]): Placed[] {
  const placed: Placed[] = [];
  let shift = 0;
  let free = 0;
  hunks.forEach((hunk, number) => {
    if (hunk.state !== "there") {
      shift += hunk.state === "gone" ? hunk.oldLines - hunk.newLines : 0;
      return;
    }
    const after = side(hunk, "+");
    const wanted = Math.max(0, hunk.newStart - 1) + shift;
    const line = nearest(lines, after, wanted, free);
    if (line !== undefined) {
      const lead = hunk.lines.findIndex((text) => !text.startsWith(" "));
      placed.push({ hunk: number, line, count: after.length, changed: line + Math.max(0, lead), before: side(hunk, "-") });
      shift = line - Math.max(0, hunk.newStart - 1);
      free = line + after.length;
    }
  });
  return placed;
}

/** The file without the changes of these hunks. */
export function without(lines: readonly string[], placed: readonly Placed[]): string[] {
  const result: string[] = [];
  let at = 0;
  for (const { line, count, before } of placed) {
    result.push(...lines.slice(at, line), ...before);
    at = line + count;
  }
  return [...result, ...lines.slice(at)];
}

/** The hunk that a line belongs to: the one around it, else the next one, else the last. */
export function hunkAt(placed: readonly Placed[], line: number): Placed | undefined {
  return placed.find((one) => line < one.line + Math.max(1, one.count)) ?? placed.at(-1);
}

/** The lines of a hunk as they were before. */
export function oldText(hunk: DiffHunk): string {
  return side(hunk, "-")
    .map((line) => `${line}\n`)
    .join("");
}

/** The lines of one side of a hunk. */
function side(hunk: DiffHunk, sign: "+" | "-"): string[] {
  return hunk.lines.filter((line) => line.startsWith(" ") || line.startsWith(sign)).map((line) => line.slice(1).replace(/\r$/, ""));
}

function nearest(lines: readonly string[], wanted: readonly string[], at: number, from: number): number | undefined {
  const last = lines.length - wanted.length;
  for (let distance = 0; distance <= lines.length; distance += 1) {
    for (const line of distance === 0 ? [at] : [at - distance, at + distance]) {
      if (line >= from && line <= last && wanted.every((text, offset) => lines[line + offset] === text)) {
        return line;
      }
    }
  }
  return undefined;
}
