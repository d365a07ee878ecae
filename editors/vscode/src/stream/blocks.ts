/**
 * What a session's view shows, block by block: neighbouring pieces of one answer are one block, and a tool's call and
 * result are one. Made of items in their order; a change says which blocks it touched, so that only those are drawn anew.
 */

import type { SessionItem } from "../protocol";

export type Block =
  | { kind: "prompt" | "answer" | "thinking" | "permission" | "error" | "note"; text: string }
  | { kind: "tool"; call: string; name: string; input: unknown; result?: ToolResult }
  /** A place to go back to. */
  | { kind: "checkpoint"; id: string };

export interface ToolResult {
  text: string;
  failed: boolean;
}

/** Kinds whose neighbouring pieces are joined. */
const FLOWING = { text: "answer", thinking: "thinking" } as const;

export class Blocks {
  readonly list: Block[] = [];
  private readonly changed = new Set<number>();
  /** Calls without a result yet, by their id. */
  private readonly open = new Map<string, number>();
  /** The newest checkpoint; one of those within an answer is shown when the answer has ended. */
  private checkpoint: string | undefined;

  take(item: SessionItem): void {
    switch (item.kind) {
      case "text":
      case "thinking":
        this.flow(FLOWING[item.kind], item.text);
        break;
      case "prompt":
        this.mark();
        this.add({ kind: "prompt", text: item.text });
        break;
      case "tool_call":
        this.call(item);
        break;
      case "tool_result":
        this.result(item);
        break;
      case "permission":
      case "error":
        this.add({ kind: item.kind, text: item.text });
        break;
      case "checkpoint":
        this.checkpoint = textOf(item.data, "id") || undefined;
        if (item.text !== "") {
          // A rewind says what does not count any more.
          this.add({ kind: "note", text: item.text });
        }
        break;
      case "usage":
        break;
    }
  }

  /** Shows where one can go back to, at the end of a turn. */
  mark(): void {
    if (this.checkpoint !== undefined) {
      this.add({ kind: "checkpoint", id: this.checkpoint });
      this.checkpoint = undefined;
    }
  }

  /** Numbers of the blocks that changed since the last call, in order. */
  takeChanged(): number[] {
    const numbers = [...this.changed].sort((a, b) => a - b);
    this.changed.clear();
    return numbers;
  }

  private add(block: Block): number {
    const at = this.list.push(block) - 1;
    this.changed.add(at);
    return at;
  }

  private flow(kind: "answer" | "thinking", text: string): void {
    const at = this.list.length - 1;
    const last = this.list[at];
    if (last?.kind === kind) {
      last.text += text;
      this.changed.add(at);
    } else if (text !== "") {
      this.add({ kind, text });
    }
  }

  private call(item: SessionItem): void {
    const call = textOf(item.data, "id") || `#${item.seq}`;
    const at = this.add({ kind: "tool", call, name: textOf(item.data, "name") || item.text, input: fieldOf(item.data, "input") });
    this.open.set(call, at);
  }

  private result(item: SessionItem): void {
    const call = textOf(item.data, "id");
    const result = { text: item.text, failed: fieldOf(item.data, "isError") === true };
    const at = this.open.get(call) ?? this.newestOpen();
    const block = at === undefined ? undefined : this.list[at];
    if (at === undefined || block?.kind !== "tool") {
      this.add({ kind: "tool", call, name: "result", input: undefined, result });
      return;
    }
    this.open.delete(block.call);
    block.result = result;
    this.changed.add(at);
  }

  /** Providers that name no calls answer them in order. */
  private newestOpen(): number | undefined {
    return [...this.open.values()].at(-1);
  }
}

function fieldOf(data: unknown, key: string): unknown {
  return typeof data === "object" && data !== null ? (data as Record<string, unknown>)[key] : undefined;
}

function textOf(data: unknown, key: string): string {
  const field = fieldOf(data, key);
  return typeof field === "string" ? field : "";
}
