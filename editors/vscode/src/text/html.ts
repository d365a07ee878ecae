/**
 * HTML for the session's view. All of it may come from a model, so nothing of it is taken for markup: the renderer makes
 * every tag itself, images are left out (to fetch one tells others), and links lead to the web only.
 */

import MarkdownIt from "markdown-it";
import type { Block } from "../stream/blocks";

const RENDERER = new MarkdownIt("default", { html: false, linkify: false, breaks: false }).disable("image");
RENDERER.validateLink = (url) => /^(https?:|mailto:)/i.test(url.trim());

/** Longest input or output of a tool that is shown, in lines and characters. */
const MAX_LINES = 400;
const MAX_CHARACTERS = 40_000;
/** What a call's summary shows of its input, in characters. */
const SUMMARY = 90;
/** Fields of an input that say best what a call is about, best first. */
const TELLING = ["path", "command", "query", "pattern", "message", "title"];

export function markdown(text: string): string {
  return RENDERER.render(text);
}

export function escaped(text: string): string {
  return RENDERER.utils.escapeHtml(text);
}

export function blockHtml(block: Block): string {
  switch (block.kind) {
    case "prompt":
      return `<div class="prompt">${escaped(block.text)}</div>`;
    case "answer":
      return `<div class="answer">${markdown(block.text)}</div>`;
    case "thinking":
      return `<details class="thinking"><summary>Thinking</summary>${markdown(block.text)}</details>`;
    case "note":
    case "permission":
      return `<div class="${block.kind}">${escaped(block.text)}</div>`;
    case "error":
      return `<div class="error" role="alert">${escaped(block.text)}</div>`;
    case "checkpoint":
      return checkpointHtml(block.id);
    case "tool":
      return toolHtml(block);
  }
}

function checkpointHtml(id: string): string {
  const button = (action: string, title: string): string =>
    `<button data-action="${action}" data-checkpoint="${escaped(id)}">${title}</button>`;
  return `<div class="checkpoint"><span>Checkpoint</span>${button("rewind", "Rewind to here")}${button("fork", "Fork from here")}</div>`;
}

function toolHtml({ name, input, result }: Extract<Block, { kind: "tool" }>): string {
  const state = result === undefined ? "running" : result.failed ? "failed" : "done";
  const span = (kind: string, text: string): string => `<span class="${kind}">${escaped(text)}</span>`;
  const summary = [span("state", state), span("name", name), span("what", inputSummary(input))].join(" ");
  const parts = [inputText(input), result?.text ?? ""].filter((text) => text !== "");
  const body = parts.map((text) => `<pre>${escaped(bounded(text))}</pre>`).join("");
  return `<details class="tool ${state}"><summary>${summary}</summary>${body}</details>`;
}

/** `src/a.rs`, or the first text there is: enough to know a call by while it is folded. */
export function inputSummary(input: unknown): string {
  if (typeof input !== "object" || input === null) {
    return "";
  }
  const fields = input as Record<string, unknown>;
  const texts = [...TELLING.map((key) => fields[key]), ...Object.values(fields)];
  const text = texts.find((field): field is string => typeof field === "string" && field !== "") ?? "";
  const line = text.split("\n")[0] ?? "";
  return line.length > SUMMARY || line.length < text.trimEnd().length ? `${line.slice(0, SUMMARY)}…` : line;
}

function inputText(input: unknown): string {
  if (typeof input !== "object" || input === null) {
    return "";
  }
  const lines = Object.entries(input).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return text.includes("\n") ? `${key}:\n${text}` : `${key}: ${text}`;
  });
  return lines.join("\n");
}

function bounded(text: string): string {
  const lines = text.split("\n");
  const cut = lines.slice(0, MAX_LINES).join("\n").slice(0, MAX_CHARACTERS);
  return cut.length === text.length ? text : `${cut}\n… (${lines.length} lines in all)`;
}
