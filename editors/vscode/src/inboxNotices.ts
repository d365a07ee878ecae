/** Tells of each question once, as it comes. */

import type * as vscode from "vscode";
import type { Live } from "./live";
import type { InboxItem } from "./protocol";

export class InboxNotices implements vscode.Disposable {
  private readonly told = new Set<string>();
  private readonly listener: vscode.Disposable;

  constructor(
    private readonly live: Live,
    private readonly tellOf: (item: InboxItem) => void,
  ) {
    this.listener = live.onDidChange((topic) => (topic === "inbox" ? this.tell() : undefined));
  }

  dispose(): void {
    this.listener.dispose();
  }

  private tell(): void {
    for (const item of this.live.questions) {
      if (!this.told.has(item.id)) {
        this.told.add(item.id);
        this.tellOf(item);
      }
    }
  }
}
