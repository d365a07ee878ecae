/**
 * Commands of the language server, as its code actions and lenses call them. The language client registers them under
 * their own names (`podium.session.start`, ...); here their answers become something to see, and what the server must ask
 * for in a scratch document is asked for in an input box.
 */

import * as vscode from "vscode";
import type { ExecuteCommandSignature } from "vscode-languageclient/node";
import { tellFailure, type CommandContext } from "./commands/context";
import { openWorktree } from "./commands/openWorktree";
import { follow } from "./commands/sessions";
import type { Worktree } from "./protocol";
import { symbolsAround } from "./selection";

const START = "podium.session.start";
const ASK = "podium.ask";
const SESSION_COMMANDS: ReadonlySet<string> = new Set([START, "podium.session.resume"]);
/** Their answers are opened here, as folder and as live document; the server would open plain files. */
const OPENED_HERE: ReadonlySet<string> = new Set(["podium.worktree.switch", "podium.session.show"]);

type Fields = Record<string, unknown>;

export async function runServerCommand(
  context: CommandContext | undefined,
  command: string,
  args: unknown[],
  run: ExecuteCommandSignature,
): Promise<unknown> {
  if (context === undefined) {
    return run(command, args);
  }
  const fields = args.length === 1 && isFields(args[0]) ? args[0] : undefined;
  if (command === ASK) {
    return ask(context, fields ?? {}, run);
  }
  const opened = fields !== undefined && OPENED_HERE.has(command);
  const given = command === START && fields !== undefined ? [await withSymbols(context, fields)] : args;
  try {
    // Not through `run`: that turns a typed error into a bare message before it gets here.
    const answer: unknown = await context.server.languageClient?.sendRequest("workspace/executeCommand", {
      command,
      arguments: opened ? [{ ...fields, open: false }] : given,
    });
    if (isFields(answer)) {
      await present(context, command, answer, opened);
    }
    return answer;
  } catch (error) {
    if (fields === undefined || fields["interactive"] === true) {
      // The server has told it already: it knows that a person called.
      context.log.error(error instanceof Error ? error : String(error));
    } else {
      await tellFailure(context, error);
    }
    return undefined;
  }
}

async function ask(context: CommandContext, fields: Fields, run: ExecuteCommandSignature): Promise<unknown> {
  const question = await vscode.window.showInputBox({
    title: "Ask about the Selection",
    prompt: "What do you want to know?",
    ignoreFocusOut: true,
    validateInput: (value) => (value.trim() === "" ? "Ask something" : undefined),
  });
  if (question === undefined) {
    return undefined;
  }
  const lead = typeof fields["prompt"] === "string" ? fields["prompt"] : "";
  return runServerCommand(context, START, [{ ...fields, prompt: lead + question }], run);
}

/** The symbols that a code action's place lies in: other language servers know them, and ours cannot ask those. */
async function withSymbols(context: CommandContext, fields: Fields): Promise<Fields> {
  const about = fields["context"];
  const converter = context.server.languageClient?.protocol2CodeConverter;
  if (!isFields(about) || typeof about["uri"] !== "string" || !isFields(about["range"]) || converter === undefined) {
    return fields;
  }
  const range = converter.asRange(about["range"] as unknown as Parameters<typeof converter.asRange>[0]);
  const symbols = range == null ? [] : await symbolsAround(vscode.Uri.parse(about["uri"]), range);
  return symbols.length === 0 ? fields : { ...fields, context: { ...about, symbols } };
}

async function present(context: CommandContext, command: string, answer: Fields, opened: boolean): Promise<void> {
  const { id, worktree } = answer;
  if (SESSION_COMMANDS.has(command) && typeof id === "string") {
    await follow(context, { id });
  } else if (opened && isFields(worktree)) {
    await openWorktree(context, worktree as unknown as Worktree, "setting");
  } else if (opened && typeof id === "string") {
    await context.panels.show(id, false);
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
