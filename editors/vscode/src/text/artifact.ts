/** Rows of the Artifacts view. */

import type { Artifact, ArtifactHit } from "../protocol";
import { plain, shortened } from "./markdown";
import { clock } from "./time";
import type { Row } from "./worktree";

const ICONS: Record<string, string> = {
  code: "file-code",
  docs: "book",
  tests: "beaker",
  config: "settings-gear",
  log: "output",
  report: "graph",
};

export function artifactRow(artifact: Artifact | ArtifactHit, now: Date): Row {
  const snippet = "snippet" in artifact ? shortened(artifact.snippet, 100) : "";
  const size = "bytes" in artifact ? sizeWords(artifact.bytes) : "";
  return {
    label: shortened(artifact.title, 80) || artifact.id,
    description: snippet || [artifact.kind, size, clock(artifact.createdAt, now)].filter(Boolean).join(" · "),
    tooltip: tooltip(artifact, size, now),
    icon: ICONS[artifact.kind] ?? "file",
    context: "artifact",
  };
}

function tooltip(artifact: Artifact | ArtifactHit, size: string, now: Date): string {
  const lines = [`**${plain(artifact.title)}**`, plain([artifact.kind, size].filter(Boolean).join(", "))];
  if ("snippet" in artifact && artifact.snippet !== "") {
    lines.push(plain(artifact.snippet));
  }
  if (artifact.worktree !== null) {
    lines.push(`From worktree ${plain(artifact.worktree)}`);
  }
  if (artifact.session !== null) {
    lines.push(`From session \`${artifact.session}\``);
  }
  lines.push(`Stored ${clock(artifact.createdAt, now)}`, `\`${artifact.id}\``);
  return lines.join("\n\n");
}

/** `12 B`, `3.4 KiB`. */
export function sizeWords(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
}

const EXTENSIONS: Record<string, string> = {
  "text/markdown": "md",
  "text/plain": "txt",
  "application/json": "json",
  "application/toml": "toml",
  "text/html": "html",
  "text/x-rust": "rs",
  "text/x-python": "py",
};

/** A file name that makes the editor colour the content. */
export function artifactFileName(artifact: Pick<Artifact, "title" | "mediaType" | "id">): string {
  const title = fileTitle(artifact.title) || artifact.id.slice(0, 8);
  if (/\.[A-Za-z0-9]{1,8}$/.test(title)) {
    return title;
  }
  return `${title}.${EXTENSIONS[artifact.mediaType.split(";")[0]?.trim() ?? ""] ?? "txt"}`;
}

/** A title without what a path or a tab cannot hold. */
export function fileTitle(title: string): string {
  return shortened(title.replace(/[/\\?#%:*"<>|\u0000-\u001f]/g, " "), 60).replace(/[. ]+$/, "");
}
