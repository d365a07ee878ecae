/** Rows of the Sessions view, and how a session's state reads. */

import type {
  Checkpoint,
  ContextUse,
  InboxItem,
  SessionHealth,
  SessionInfo,
  SessionProgress,
  SessionStatus,
  Usage,
} from "../protocol";
import { fileTitle } from "./artifact";
import { plain, shortened } from "./markdown";
import { clock } from "./time";
import type { Row } from "./worktree";

const WORDS: Record<SessionStatus, string> = {
  in_progress: "in progress",
  interrupted: "interrupted",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled",
  parked: "waits for you",
};

const LOOKS: Record<SessionStatus, { icon: string; color?: string }> = {
  in_progress: { icon: "sync~spin", color: "charts.blue" },
  interrupted: { icon: "debug-pause", color: "charts.yellow" },
  completed: { icon: "pass", color: "charts.green" },
  failed: { icon: "error", color: "charts.red" },
  cancelled: { icon: "circle-slash" },
  parked: { icon: "bell", color: "charts.orange" },
};

export function statusWords(status: SessionStatus): string {
  return WORDS[status];
}

export function isOver(status: SessionStatus): boolean {
  return status !== "in_progress";
}

/** Whether there is an answer to finish; otherwise going on means another turn. */
export function isUnfinished(status: SessionStatus): boolean {
  return status === "interrupted" || status === "failed" || status === "parked";
}

export function sessionTitle(session: Pick<SessionInfo, "title" | "id">): string {
  return shortened(session.title, 60) || `Session ${session.id.slice(0, 8)}`;
}

/** Longest name of a tab, in characters. */
const TAB_WIDTH = 32;

/** Name of a session's tab. */
export function sessionTab(session: Pick<SessionInfo, "title" | "id">): string {
  return fileTitle(shortened(sessionTitle(session), TAB_WIDTH)) || session.id;
}

export function sessionRow(session: SessionInfo, now: Date): Row {
  const running = isOver(session.status) ? "" : healthWords(session.health, now);
  const state = session.status === "completed" ? clock(session.updatedAt, now) : running || WORDS[session.status];
  return {
    label: sessionTitle(session),
    description: [session.worktree, session.provider, state].filter(Boolean).join(" · "),
    tooltip: tooltip(session, now),
    context: `session ${isOver(session.status) ? "over" : "running"} ${session.status}`,
    ...LOOKS[session.status],
  };
}

function tooltip(session: SessionInfo, now: Date): string {
  const lines = [`**${plain(session.title || session.id)}**`];
  lines.push(`${WORDS[session.status]}${session.reason ? `: ${plain(session.reason)}` : ""}`);
  lines.push(plain([session.provider, session.model].filter(Boolean).join(" · ")));
  if (session.worktree !== null) {
    lines.push(`In worktree ${plain(session.worktree)}`);
  }
  if (session.agentId !== null) {
    lines.push(`As ${plain(session.agentId)}`);
  }
  lines.push(`Started ${clock(session.createdAt, now)}, last change ${clock(session.updatedAt, now)}`);
  lines.push(plain(usageWords(session.usage)));
  if (session.context) {
    lines.push(contextWords(session.context));
  }
  if (session.confinement) {
    lines.push(session.confinement === "none" ? "Its programs run **unsandboxed**" : `Its programs are confined by ${session.confinement}`);
  }
  lines.push(`\`${session.id}\``);
  return lines.join("\n\n");
}

/** `120 tokens in, 40 out, $0.0123`. */
export function usageWords(usage: Usage): string {
  return [`${usage.inputTokens} tokens in, ${usage.outputTokens} out`, costWords(usage)].filter(Boolean).join(", ");
}

/** `1.2k in · 340 out · $0.0123 · 25% of 200k`, for the status line. */
export function usageBrief(usage: Usage, context?: ContextUse | null): string {
  const tokens = `${countBrief(usage.inputTokens)} in · ${countBrief(usage.outputTokens)} out`;
  return [tokens, costWords(usage), contextBrief(context)].filter(Boolean).join(" · ");
}

/** Nothing for what costs nothing. */
function costWords(usage: Usage): string {
  if (usage.costUsd === null) {
    return "cost unknown";
  }
  return usage.costUsd > 0 ? `$${usage.costUsd.toFixed(usage.costUsd < 1 ? 4 : 2)}` : "";
}

function contextBrief(context: ContextUse | null | undefined): string {
  if (!context) {
    return "";
  }
  return context.window ? `${Math.floor((100 * context.used) / context.window)}% of ${countBrief(context.window)}` : "";
}

/** `50000 of 200000 tokens of the window`. */
export function contextWords(context: ContextUse): string {
  return context.window ? `${context.used} of ${context.window} tokens of the window` : `${context.used} tokens of the window`;
}

/** `run_command since 14:02`, `silent since 14:02`; nothing for a turn that just works. */
export function healthWords(health: SessionHealth | null | undefined, now: Date): string {
  if (!health || health.state === "working") {
    return "";
  }
  return `${health.tool ?? health.state} since ${clock(health.since, now)}`;
}

function countBrief(count: number): string {
  return count < 1_000 ? String(count) : count < 1_000_000 ? `${(count / 1_000).toFixed(1)}k` : `${(count / 1_000_000).toFixed(1)}M`;
}

const CHECKPOINTS: Record<Checkpoint["kind"], string> = {
  turn_start: "before the prompt",
  turn: "within the answer",
  turn_end: "after the answer",
  rewind: "before a rewind",
};

/** `turn 2, before the prompt`. */
export function checkpointWords(checkpoint: Pick<Checkpoint, "kind" | "turn">): string {
  return `turn ${checkpoint.turn}, ${CHECKPOINTS[checkpoint.kind]}`;
}

const PHASES: Record<string, string> = {
  loading_model: "loading the model",
  reading_prompt: "reading the prompt",
  restoring: "restoring after a restart",
  waiting: "waiting",
};

/** `loading the model, 40%`. */
export function progressWords(progress: SessionProgress): string {
  const phase = PHASES[progress.phase] ?? progress.phase.replaceAll("_", " ");
  return progress.total > 0 ? `${phase}, ${Math.floor((100 * progress.done) / progress.total)}%` : phase;
}

export function questionRow(item: InboxItem, now: Date): Row {
  return {
    label: shortened(item.question, 80),
    description: `${item.agentId} · ${clock(item.askedAt, now)}`,
    tooltip: questionTooltip(item, now),
    icon: "question",
    color: "charts.orange",
    context: "question",
  };
}

function questionTooltip(item: InboxItem, now: Date): string {
  const lines = [`**${plain(item.agentId)}** asks:`, plain(item.question)];
  if (item.detail) {
    lines.push(fencedBlock(firstLines(item.detail, 20)));
  }
  if (item.deadline) {
    lines.push(`Without an answer by ${clock(item.deadline, now)}: ${item.onTimeout === "allow" ? "allowed" : "denied"}`);
  }
  return lines.join("\n\n");
}

function firstLines(text: string, limit: number): string {
  const lines = text.split("\n");
  return lines.length <= limit ? text : `${lines.slice(0, limit).join("\n")}\n…`;
}

/** A fence that nothing in the text can end. */
function fencedBlock(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
