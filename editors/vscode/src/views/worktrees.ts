/** The Worktrees view: one level, or one for each repository where a window holds several. */

import * as path from "node:path";
import * as vscode from "vscode";
import type { Live } from "../live";
import type { RepoRef, Worktree } from "../protocol";
import { inOrder, worktreeRow } from "../text/worktree";
import { itemOf } from "./row";

export type WorktreeNode = { kind: "repo"; repo: RepoRef } | { kind: "worktree"; worktree: Worktree };

export class WorktreesView implements vscode.TreeDataProvider<WorktreeNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly live: Live,
    private readonly here: () => Worktree | undefined,
  ) {
    this.disposables = [
      this.changed,
      live.onDidChange((topic) => {
        if (topic === "worktrees") {
          this.changed.fire();
        }
      }),
      vscode.window.onDidChangeActiveTextEditor(() => this.changed.fire()),
      vscode.window.createTreeView("podium.worktrees", { treeDataProvider: this, showCollapseAll: false }),
    ];
  }

  getChildren(parent?: WorktreeNode): WorktreeNode[] {
    const shown = inOrder(this.live.worktrees, this.live.own);
    if (parent?.kind === "worktree") {
      return [];
    }
    if (parent !== undefined) {
      return shown.filter((worktree) => worktree.repo.id === parent.repo.id).map(worktreeNode);
    }
    const repos = [...new Map(shown.map((worktree) => [worktree.repo.id, worktree.repo])).values()];
    return repos.length > 1 ? repos.map((repo) => ({ kind: "repo", repo })) : shown.map(worktreeNode);
  }

  getTreeItem(node: WorktreeNode): vscode.TreeItem {
    if (node.kind === "repo") {
      const item = new vscode.TreeItem(path.basename(node.repo.root), vscode.TreeItemCollapsibleState.Expanded);
      item.id = node.repo.id;
      item.tooltip = node.repo.root;
      item.iconPath = new vscode.ThemeIcon("repo");
      return item;
    }
    const { worktree } = node;
    const item = itemOf(worktreeRow(worktree, this.live.own, this.here()?.id === worktree.id, new Date()));
    item.id = worktree.id;
    return item;
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }
}

function worktreeNode(worktree: Worktree): WorktreeNode {
  return { kind: "worktree", worktree };
}
