import * as vscode from "vscode";
import type { Row } from "../text/worktree";

/** A tree item that looks as a row says. */
export function itemOf(row: Row, collapsible = vscode.TreeItemCollapsibleState.None): vscode.TreeItem {
  const item = new vscode.TreeItem(row.label, collapsible);
  item.description = row.description;
  item.tooltip = new vscode.MarkdownString(row.tooltip);
  item.iconPath = new vscode.ThemeIcon(row.icon, row.color === undefined ? undefined : new vscode.ThemeColor(row.color));
  item.contextValue = row.context;
  return item;
}
