/** The Artifacts view: the newest, or what a search found. */

import * as vscode from "vscode";
import type { Live } from "../live";
import type { Artifact, ArtifactHit } from "../protocol";
import { artifactRow } from "../text/artifact";
import { itemOf } from "./row";

export type ArtifactNode = Artifact | ArtifactHit;

export class ArtifactsView implements vscode.TreeDataProvider<ArtifactNode>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly view: vscode.TreeView<ArtifactNode>;
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly live: Live) {
    this.view = vscode.window.createTreeView("podium.artifacts", { treeDataProvider: this });
    this.disposables = [
      this.changed,
      this.view,
      live.onDidChange((topic) => {
        if (topic === "artifacts") {
          this.view.description = live.query === undefined ? "" : `“${live.query}”`;
          this.changed.fire();
        }
      }),
    ];
  }

  getChildren(parent?: ArtifactNode): ArtifactNode[] {
    return parent === undefined ? this.live.artifacts : [];
  }

  getTreeItem(artifact: ArtifactNode): vscode.TreeItem {
    const item = itemOf(artifactRow(artifact, new Date()));
    item.id = artifact.id;
    item.command = { command: "podium.ui.artifact.open", title: "Open Artifact", arguments: [artifact] };
    return item;
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }
}
