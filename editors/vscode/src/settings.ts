/** The extension's settings, read when they are needed. */

import * as vscode from "vscode";
import type { Detail } from "./text/statusLine";

export interface Settings {
  path: string;
  home: string;
  agentId: string;
  statusBar: Detail;
  openWorktreeIn: "same" | "new";
}

export function settings(): Settings {
  const section = vscode.workspace.getConfiguration("podium");
  return {
    path: section.get<string>("path", "podium").trim() || "podium",
    home: section.get<string>("home", "").trim(),
    agentId: section.get<string>("agentId", "").trim(),
    statusBar: section.get<Detail>("statusBar", "full"),
    openWorktreeIn: section.get<"same" | "new">("openWorktreeIn", "same"),
  };
}

/** Whether a change means that the language server must be started anew. */
export function concernsServer(change: vscode.ConfigurationChangeEvent): boolean {
  return ["path", "home", "agentId"].some((key) => change.affectsConfiguration(`podium.${key}`));
}
