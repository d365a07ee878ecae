/**
 * Commands of the language server, as its code actions and lenses call them. The language client registers them under
 * their own names (`podium.session.start`, ...); here their answers become something to see.
 */

import * as vscode from "vscode";
import type { ExecuteCommandSignature } from "vscode-languageclient/node";
import { tellFailure, type CommandContext } from "./commands/context";
import { openWorktree } from "./commands/openWorktree";
import { follow } from "./commands/sessions";
import type { Worktree } from "./protocol";

const SESSION_COMMANDS: ReadonlySet<string> = new Set(["podium.session.start", "podium.session.resume"]);

export async function runServerCommand(
  context: CommandContext | undefined,
  command: string,
  args: unknown[],
  run: ExecuteCommandSignature,
): Promise<unknown> {
  if (context === undefined) {
    return run(command, args);
  }
  try {
    // Not through `run`: that turns a typed error into a bare message before it gets here.
    const answer: unknown = await context.server.languageClient?.sendRequest("workspace/executeCommand", { command, arguments: args });
    await present(context, command, answer);
    return answer;
  } catch (error) {
    await tellFailure(context, error);
    return undefined;
  }
}

async function present(context: CommandContext, command: string, answer: unknown): Promise<void> {
  if (typeof answer !== "object" || answer === null) {
    return;
  }
  if (SESSION_COMMANDS.has(command) && "id" in answer && typeof answer.id === "string") {
    await follow(context, { id: answer.id });
  } else if (command === "podium.worktree.switch" && "worktree" in answer) {
    await openWorktree(context, answer.worktree as Worktree, "setting");
  } else if (command === "podium.session.show" && "id" in answer && typeof answer.id === "string") {
    void vscode.commands.executeCommand("podium.ui.session.open", { session: answer });
  }
}
