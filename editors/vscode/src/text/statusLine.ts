/** The claim indicator of the status bar. */

import type { StatusLine, Worktree } from "../protocol";
import { heldBy, ownerFacts } from "./claim";
import { plain } from "./markdown";
import { clock } from "./time";
import { countsInWords } from "./worktree";

export type ServerState = "untrusted" | "missing" | "starting" | "running" | "asleep" | "failed" | "stopped";
export type Detail = "full" | "compact" | "off";

export interface Indicator {
  text: string;
  /** Markdown. */
  tooltip: string;
  /** For screen readers: the text without icons. */
  label: string;
  color?: string;
  background?: "warning" | "error";
  command: string;
}

const MENU = "podium.ui.claim.menu";

/** What is shown while there is no server to ask. */
export function absentIndicator(state: Exclude<ServerState, "running">): Indicator {
  switch (state) {
    case "untrusted":
      return simple("$(workspace-untrusted) Podium", "Podium waits until you trust this workspace.", "workbench.trust.manage");
    case "missing":
      return failing("$(error) Podium not found", "The `podium` program was not found. Set `podium.path`.", "podium.ui.openSettings");
    case "starting":
      return simple("$(loading~spin) Podium", "Podium is starting.", "podium.ui.showLogs");
    case "asleep":
      return simple("$(debug-pause) Podium stopped", "The daemon was stopped. Click to start it again.", "podium.ui.wake");
    case "failed":
      return failing("$(error) Podium failed", "The language server is not running. Click to restart it.", "podium.ui.restart");
    case "stopped":
      return simple("$(circle-slash) Podium off", "Click to start Podium.", "podium.ui.restart");
  }
}

function simple(text: string, tooltip: string, command: string): Indicator {
  return { text, tooltip, label: withoutIcons(text), command };
}

function failing(text: string, tooltip: string, command: string): Indicator {
  return { ...simple(text, tooltip, command), background: "error" };
}

/**
 * @param told what the server says about the file in front
 * @param worktree the same worktree in full, where it is known already
 */
export function claimIndicator(told: StatusLine, worktree: Worktree | undefined, detail: Detail, now: Date): Indicator {
  const line = isKnownDead(told, worktree) ? { ...told, state: "dead" as const } : told;
  const text = claimText(line, detail, now) + running(line.sessions);
  const look = LOOKS[line.state];
  return { text, tooltip: tooltip(line, worktree, now), label: withoutIcons(text), command: MENU, ...look };
}

/** Nobody announces a death: the list of worktrees, read later than the line, may know of it first. */
function isKnownDead(line: StatusLine, worktree: Worktree | undefined): boolean {
  return line.state === "other" && worktree?.claim?.alive === false && worktree.claim.agentId === line.agentId;
}

const LOOKS: Record<StatusLine["state"], Pick<Indicator, "color" | "background">> = {
  free: {},
  mine: { color: "podium.claim.mine" },
  other: { background: "warning" },
  dead: { background: "error" },
  off: {},
};

function claimText(line: StatusLine, detail: Detail, now: Date): string {
  const compact = detail === "compact";
  const where = compact || line.worktree === null ? "" : `${line.worktree}: `;
  const owner = line.agentId ?? "somebody";
  switch (line.state) {
    case "free":
      return `$(unlock) ${where}free`;
    case "mine":
      return `$(pass-filled) ${where}mine`;
    case "other":
      return `$(lock) ${where}${compact || line.since === null ? owner : heldBy({ agentId: owner, since: line.since }, now)}`;
    case "dead":
      return `$(warning) ${where}${owner} is dead`;
    case "off":
      return compact ? "$(circle-slash)" : "$(circle-slash) Podium";
  }
}

function running(sessions: number): string {
  return sessions === 0 ? "" : `  $(sync~spin) ${sessions}`;
}

function tooltip(line: StatusLine, worktree: Worktree | undefined, now: Date): string {
  const lines = [`**${plain(line.worktree ?? "Podium")}**${worktree?.branch ? ` on ${plain(worktree.branch)}` : ""}`];
  lines.push(...claimFacts(line, worktree, now).map(plain));
  if (worktree?.status) {
    lines.push(plain(countsInWords(worktree.status)));
  }
  if (line.sessions > 0) {
    lines.push(`${line.sessions} ${line.sessions === 1 ? "session runs" : "sessions run"} here`);
  }
  if (worktree && worktree.conflictsWith.length > 0) {
    lines.push(`Changes the same lines as ${worktree.conflictsWith.map(plain).join(", ")}`);
  }
  return lines.join("\n\n");
}

function claimFacts(line: StatusLine, worktree: Worktree | undefined, now: Date): string[] {
  if (line.state === "off") {
    return [line.text || "No worktree of a git repository is in front"];
  }
  if (line.state === "free") {
    return ["Nobody has claimed this worktree"];
  }
  const claim = worktree?.claim;
  if (claim && claim.agentId === line.agentId) {
    const facts = ownerFacts(claim, now);
    return line.state === "mine" ? ["You hold this worktree", ...facts] : facts;
  }
  const since = line.since === null ? "" : ` since ${clock(line.since, now)}`;
  return [`Held by ${line.agentId ?? "somebody"}${since}`];
}

export function withoutIcons(text: string): string {
  return text.replace(/\$\([a-z~-]+\)/g, "").replace(/\s+/g, " ").trim();
}
