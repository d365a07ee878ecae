/** Search artifacts, and open them. */

import * as vscode from "vscode";
import type { CommandContext, CommandTable } from "./context";

export function artifactCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.artifact.search": () => search(context),
    "podium.ui.artifact.clearSearch": () => context.live.search(undefined),
    "podium.ui.artifact.open": async (argument) => {
      if (typeof argument === "object" && argument !== null && "id" in argument && typeof argument.id === "string") {
        await context.artifacts.open(argument.id);
      }
    },
  };
}

async function search(context: CommandContext): Promise<void> {
  const query = await vscode.window.showInputBox({
    title: "Search Artifacts",
    prompt: "Words that the text, the title or the kind must hold",
    value: context.live.query ?? "",
  });
  if (query === undefined) {
    return;
  }
  await context.live.search(query.trim() === "" ? undefined : query.trim());
  await vscode.commands.executeCommand("podium.artifacts.focus");
}
