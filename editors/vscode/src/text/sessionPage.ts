/** The page of a session's view: its frame, and what is above and below the transcript. */

import type { SessionEnd, SessionInfo } from "../protocol";
import { escaped } from "./html";
import { isOver, isUnfinished, sessionTitle, statusWords, usageWords } from "./session";

export interface Sources {
  nonce: string;
  script: string;
  style: string;
}

/** Runs our one script and style, and fetches nothing: whatever a model says, the page cannot ask anybody. */
export function policy(nonce: string): string {
  return `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'`;
}

export function pageHtml({ nonce, script, style }: Sources): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(nonce)}">
<link rel="stylesheet" nonce="${nonce}" href="${escaped(style)}">
<title>Session</title>
</head>
<body>
<header id="head"></header>
<main id="blocks" aria-live="polite"></main>
<footer id="tail"></footer>
<script nonce="${nonce}" src="${escaped(script)}"></script>
</body>
</html>`;
}

export function headHtml(session: SessionInfo): string {
  const facts = [session.provider, session.model, session.worktree].filter((fact): fact is string => Boolean(fact));
  const shown = facts.map((fact) => `<span>${escaped(fact)}</span>`).join("");
  const status = `<span class="status ${session.status}">${statusWords(session.status)}</span>`;
  return `<h1>${escaped(sessionTitle(session))}</h1><p class="facts">${shown}${status}</p>`;
}

/** What is under way, or how it ended and what can be done next. */
export function tailHtml(session: SessionInfo, end: SessionEnd | undefined, under: string): string {
  const usage = `<span class="usage">${escaped(usageWords(session.usage))}</span>`;
  if (!isOver(session.status)) {
    return `<p class="under">${escaped(under === "" ? "working" : under)}… ${usage}</p>${buttons(["cancel", "Cancel"])}`;
  }
  const reason = session.reason ? `: ${escaped(session.reason)}` : "";
  const files = end?.filesChanged ?? [];
  const names = files.map((file) => `<code>${escaped(file)}</code>`).join(" ");
  const changed = files.length === 0 ? "" : `<p class="changed">Changed: ${names}</p>`;
  const go: Action = ["resume", isUnfinished(session.status) ? "Resume" : "Ask Further"];
  const review: Action[] = session.worktree === null ? [] : [["changes", "Review Changes"]];
  const status = `<p><b>${statusWords(session.status)}</b>${reason} · ${usage}</p>`;
  return `${status}${changed}${buttons(go, ...review, ["fork", "Fork"], ["text", "As Text"])}`;
}

type Action = readonly [action: string, title: string];

function buttons(...actions: Action[]): string {
  return `<p class="actions">${actions.map(([action, title]) => `<button data-action="${action}">${title}</button>`).join("")}</p>`;
}
