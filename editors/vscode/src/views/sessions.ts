/** The Sessions view: the inbox with what agents ask, then sessions, newest first. */

import * as vscode from "vscode";
import type { Live } from "../live";
import type { InboxItem, SessionInfo } from "../protocol";
import { questionRow, sessionRow } from "../text/session";
import { itemOf } from "./row";

export type SessionNode = { kind: "inbox" } | { kind: "question"; item: InboxItem } | { kind: "session"; session: SessionInfo };

const INBOX: SessionNode = { kind: "inbox" };

export class SessionsView implements vscode.TreeDataProvider<SessionNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<SessionNode>;
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly live: Live) {
    this.view = vscode.window.createTreeView("podium.sessions", { treeDataProvider: this });
    this.disposables = [
      this.changed,
      this.view,
      live.onDidChange((topic) => {
        if (topic === "sessions" || topic === "inbox") {
          this.badge();
          this.changed.fire();
        }
      }),
    ];
  }

  getChildren(parent?: SessionNode): SessionNode[] {
    if (parent?.kind === "inbox") {
      return this.live.questions.map((item): SessionNode => ({ kind: "question", item }));
    }
    if (parent !== undefined) {
      return [];
    }
    return [
      ...(this.live.questions.length > 0 ? [INBOX] : []),
      ...this.live.sessions.map((session): SessionNode => ({ kind: "session", session })),
    ];
  }

  getTreeItem(node: SessionNode): vscode.TreeItem {
    if (node.kind === "inbox") {
      const item = new vscode.TreeItem("Inbox", vscode.TreeItemCollapsibleState.Expanded);
      item.id = "inbox";
      item.description = `${this.live.questions.length} open`;
      item.iconPath = new vscode.ThemeIcon("inbox");
      item.contextValue = "inbox";
      return item;
    }
    if (node.kind === "question") {
      const item = itemOf(questionRow(node.item, new Date()));
      item.id = `question/${node.item.id}`;
      item.command = { command: "podium.ui.inbox.answer", title: "Answer", arguments: [node] };
      return item;
    }
    const item = itemOf(sessionRow(node.session, new Date()));
    item.id = node.session.id;
    item.command = { command: "podium.ui.session.open", title: "Open Session", arguments: [node] };
    return item;
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private badge(): void {
    const count = this.live.questions.length;
    this.view.badge = count === 0 ? undefined : { value: count, tooltip: count === 1 ? "1 open question" : `${count} open questions` };
  }
}
