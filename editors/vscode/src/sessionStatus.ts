/** Tokens and cost of the session in front, or of the one that was, in the status bar. */

import * as vscode from "vscode";
import type { Live } from "./live";
import type { SessionInfo, Usage } from "./protocol";
import type { SessionStreams } from "./sessionStreams";
import { plain } from "./text/markdown";
import { contextWords, healthWords, isOver, sessionTitle, statusWords, usageBrief, usageWords } from "./text/session";

export class SessionStatus implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("podium.session", vscode.StatusBarAlignment.Left, 98);
  private readonly disposables: vscode.Disposable[];
  private shown: string | undefined;

  constructor(
    private readonly streams: SessionStreams,
    private readonly live: Live,
  ) {
    this.item.name = "Podium: Session";
    this.disposables = [
      this.item,
      streams.onDidMove(() => this.draw()),
      streams.onDidChange(() => this.draw()),
      live.onDidChange((topic) => (topic === "sessions" ? this.draw() : undefined)),
    ];
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private draw(): void {
    this.shown = this.streams.active ?? this.shown;
    const session = this.shown === undefined ? undefined : this.streams.info(this.shown);
    if (session === undefined) {
      this.item.hide();
      return;
    }
    const usage = larger(session.usage, this.live.session(session.id)?.usage);
    const context = session.context ?? this.live.session(session.id)?.context;
    const silent = !isOver(session.status) && session.health?.state === "silent";
    const icon = isOver(session.status) ? "$(comment-discussion)" : silent ? "$(warning)" : "$(sync~spin)";
    const running = isOver(session.status) ? "" : healthWords(session.health, new Date());
    this.item.text = [`${icon} ${usageBrief(usage, context)}`, silent ? running : ""].filter(Boolean).join(" · ");
    this.item.tooltip = new vscode.MarkdownString(
      [
        `**${plain(sessionTitle(session))}**`,
        plain(running || statusWords(session.status)),
        plain(usageWords(usage)),
        context ? contextWords(context) : "",
      ]
        .filter(Boolean)
        .join("\n\n"),
    );
    this.item.accessibilityInformation = { label: `Session: ${usageWords(usage)}`, role: "button" };
    this.item.command = openCommand(session);
    this.item.show();
  }
}

/** The list knows of checkpoints, the stream of the end: usage only grows, so the larger is the newer. */
function larger(one: Usage, other: Usage | undefined): Usage {
  const total = (usage: Usage): number => usage.inputTokens + usage.outputTokens;
  return other !== undefined && total(other) > total(one) ? other : one;
}

function openCommand(session: SessionInfo): vscode.Command {
  return { command: "podium.ui.session.open", title: "Open Session", arguments: [{ kind: "session", session }] };
}
