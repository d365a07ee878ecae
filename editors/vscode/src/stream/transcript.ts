/**
 * A session's transcript as it grows, and the document made of it.
 *
 * Items arrive in the order of their sequence numbers. After a restart of server or daemon some may come twice or not at
 * all; `accept` shows each exactly once and says when one is missing, so that the stream is asked for again from there.
 */

import type { SessionEnd, SessionInfo, SessionItem, SessionProgress, SessionUpdate, Usage } from "../protocol";
import { isUnfinished, progressWords, sessionTitle, statusWords, usageWords } from "../text/session";
import { inputSummary } from "../text/html";
import { Blocks } from "./blocks";

export type Accepted = "shown" | "gap" | "ended";

/** Blocks of the document. Neighbouring items of one block are joined without anything between them. */
type Block = "prompt" | "text" | "thinking" | "other";

/** Longest tool output that is shown in full, in lines. */
const TOOL_LINES = 30;

export class Transcript {
  /** The same for the view that folds and renders. */
  readonly blocks = new Blocks();
  private body = "";
  private block: Block | undefined;
  private answer = "";
  private seq = 0;
  private progress: SessionProgress | undefined;
  private end: SessionEnd | undefined;

  constructor(private session: SessionInfo) {}

  get info(): SessionInfo {
    return this.session;
  }

  /** Sequence number of the newest item that was taken in. */
  get lastSeq(): number {
    return this.seq;
  }

  /** All pieces of text, joined: the answers. */
  get text(): string {
    return this.answer;
  }

  get ended(): boolean {
    return this.end !== undefined;
  }

  /** What is under way where nothing is said yet: `loading the model, 40%`. */
  get under(): string {
    return this.progress === undefined ? "" : progressWords(this.progress);
  }

  /** How it ended: reason and changed files. Undefined while it runs. */
  get outcome(): SessionEnd | undefined {
    return this.end;
  }

  /** Takes a newer description of the session; a running one has no end (any more). */
  describe(session: SessionInfo): void {
    this.session = session;
    if (session.status === "in_progress") {
      this.end = undefined;
    }
  }

  accept(update: Pick<SessionUpdate, "items" | "progress" | "health" | "context" | "end">): Accepted {
    for (const item of update.items ?? []) {
      if (item.seq <= this.seq) {
        continue;
      }
      if (item.seq !== this.seq + 1) {
        return "gap";
      }
      this.seq = item.seq;
      this.append(item);
      this.blocks.take(item);
      this.progress = undefined;
    }
    if (update.progress) {
      this.progress = update.progress;
    }
    if (update.health) {
      this.session = { ...this.session, health: update.health };
    }
    if (update.context) {
      this.session = { ...this.session, context: update.context };
    }
    if (update.end) {
      this.finish(update.end);
      return "ended";
    }
    return "shown";
  }

  private finish(end: SessionEnd): void {
    this.end = end;
    this.progress = undefined;
    this.blocks.mark();
    this.session = { ...this.session, status: end.status, usage: end.usage, reason: end.reason ?? null, artifact: end.artifact ?? null };
  }

  private append(item: SessionItem): void {
    switch (item.kind) {
      case "text":
        this.answer += item.text;
        this.join("text", item.text);
        break;
      case "thinking":
        this.quote("thinking", item.text, "*thinking:* ");
        break;
      case "prompt":
        this.block = undefined;
        this.quote("prompt", item.text, "");
        break;
      case "tool_call":
        this.separate(`**Tool**\n\n${fenced(toolText(item))}`);
        break;
      case "tool_result":
        this.separate(fenced(firstLines(item.text)));
        break;
      case "permission":
        this.separate(`**Permission:** ${item.text}`);
        break;
      case "error":
        this.separate(`**Error:** ${item.text}`);
        break;
      case "checkpoint":
      case "usage":
        // Nothing to read; and the text around them belongs together.
        break;
    }
    this.use(item);
  }

  /** Usage is told at the end of each turn, and shown while the session goes on. */
  private use(item: SessionItem): void {
    if (item.kind === "usage" && isUsage(item.data)) {
      this.session = { ...this.session, usage: item.data };
    }
  }

  /** Adds to a block without touching the text: what the document shows is what was said. */
  private join(block: Block, text: string): void {
    if (this.block !== block) {
      this.body = apart(this.body);
      this.block = block;
    }
    this.body += text;
  }

  private quote(block: Block, text: string, lead: string): void {
    const opening = this.block !== block ? `> ${lead}` : "";
    this.join(block, opening + text.replace(/\r?\n/g, "\n> "));
  }

  private separate(text: string): void {
    this.body = apart(this.body) + text;
    this.block = "other";
  }

  /** The whole document, in markdown. It only grows at its end while the session runs. */
  render(): string {
    return apart(this.heading()) + this.body + this.tail();
  }

  private heading(): string {
    const { provider, model, worktree } = this.session;
    const facts = [`\`${provider}\`${model === null ? "" : ` ${model}`}`];
    if (worktree !== null) {
      facts.push(`worktree \`${worktree}\``);
    }
    facts.push(`**${statusWords(this.session.status)}**`);
    return `# ${sessionTitle(this.session)}\n\n${facts.join(" · ")}`;
  }

  private tail(): string {
    if (this.end !== undefined) {
      return `\n\n---\n\n${endLines(this.session, this.end).join("\n\n")}\n`;
    }
    return this.progress === undefined ? "" : `${this.body === "" ? "" : "\n\n"}*${progressWords(this.progress)}…*`;
  }
}

/** Ends with one empty line, whatever was there. */
function apart(text: string): string {
  return text === "" ? "" : `${text}${text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n"}`;
}

function endLines(session: SessionInfo, end: SessionEnd): string[] {
  const reason = end.reason ? `: ${end.reason}` : "";
  const lines = [`**${statusWords(end.status)}**${reason} · ${usageWords(end.usage)}`];
  if (end.filesChanged.length > 0) {
    lines.push(`Changed: ${end.filesChanged.map((file) => `\`${file}\``).join(", ")}`);
  }
  const how = isUnfinished(end.status) ? "Finish it" : "Ask further";
  lines.push(`${how} with *Podium: Resume Session*, or \`jelmore sessions resume ${session.id}\`.`);
  return lines;
}

function isUsage(data: unknown): data is Usage {
  return typeof data === "object" && data !== null && "inputTokens" in data && "outputTokens" in data && "costUsd" in data;
}

function toolText(item: SessionItem): string {
  const data = item.data;
  const what = typeof data === "object" && data !== null && "input" in data ? inputSummary(data.input) : "";
  if (item.text !== "" && what !== "") {
    return `${firstLines(item.text)} ${what}`;
  }
  if (item.text !== "") {
    return firstLines(item.text);
  }
  return data === undefined || data === null ? "" : firstLines(JSON.stringify(data, null, 2));
}

function firstLines(text: string): string {
  const lines = text.split("\n");
  const more = lines.length - TOOL_LINES;
  return more <= 0 ? text : `${lines.slice(0, TOOL_LINES).join("\n")}\n… ${more} more lines`;
}

/** A code block whose fence is longer than any run of backticks in it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `${fence}text\n${text.replace(/\n$/, "")}\n${fence}`;
}
