/** Start, open, resume and cancel sessions. */

import * as vscode from "vscode";
import type { ProviderInfo, SessionInfo, SessionStarted, SessionStartParams } from "../protocol";
import { isOver, isUnfinished, sessionRow } from "../text/session";
import { heldBy, ownerFacts } from "../text/claim";
import { wireError } from "../text/errors";
import { shortened } from "../text/markdown";
import { selectionContext } from "../selection";
import { agent, here, repository, worktreeArgument, type CommandContext, type CommandTable } from "./context";

export function sessionCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.session.start": (argument) => start(context, argument),
    "podium.ui.session.open": (argument) => open(context, argument),
    "podium.ui.session.resume": (argument) => resume(context, argument),
    "podium.ui.session.cancel": (argument) => cancel(context, argument),
  };
}

async function start(context: CommandContext, argument: unknown): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const at = await repository(context);
  if (at === undefined) {
    return;
  }
  const provider = await pickProvider(context);
  if (provider === undefined) {
    return;
  }
  const about = editor === undefined ? undefined : await selectionContext(context, editor);
  const prompt = await vscode.window.showInputBox({
    title: `Start Session with ${provider.name}`,
    prompt: !about?.text ? "What shall the agent do?" : `What shall the agent do with the ${lines(about.text)} you selected?`,
    placeHolder: "Explain how this works",
    ignoreFocusOut: true,
    validateInput: (value) => (value.trim() === "" ? "Say what the agent shall do" : undefined),
  });
  if (prompt === undefined) {
    return;
  }
  const worktree = worktreeArgument(argument) ?? here(context);
  const place = worktree === undefined ? at : { repo: worktree.path, worktree: worktree.name };
  const params: SessionStartParams = {
    ...place,
    ...agent(),
    provider: provider.name,
    prompt,
    ...(about === undefined ? {} : { context: about }),
  };
  const started = await startOrElsewhere(context, params);
  if (started !== undefined) {
    await follow(context, started);
  }
}

/** Where somebody else holds the worktree, the person may have a new one for the session. */
async function startOrElsewhere(context: CommandContext, params: SessionStartParams): Promise<SessionStarted | undefined> {
  const begin = (one: SessionStartParams) => context.server.command<SessionStarted>("podium.session.start", one);
  try {
    return await begin(params);
  } catch (thrown) {
    const { kind, owner } = wireError(thrown);
    if (kind !== "conflict" || !owner || !params.worktree) {
      throw thrown;
    }
    const question = `${params.worktree} is held by ${heldBy(owner, new Date())}`;
    const options = { modal: true, detail: ownerFacts(owner, new Date()).slice(1).join("\n") };
    if ((await vscode.window.showWarningMessage(question, options, "Start in a New Worktree")) === undefined) {
      return undefined;
    }
    const { repo } = params;
    const name = `session-${new Date().toISOString().replace(/\D/g, "").slice(4, 14)}`;
    const made = await context.server.act("podium/worktree/create", { ...(repo ? { repo } : {}), ...agent(), type: "feat", name });
    return begin({ ...params, repo: made.worktree.path, worktree: made.worktree.name });
  }
}

/** Opens the view of a session that began or goes on. */
export async function follow(
  context: Pick<CommandContext, "sessions" | "panels" | "live">,
  started: Pick<SessionStarted, "id">,
): Promise<void> {
  context.live.refresh("sessions");
  await context.sessions.revive(started.id);
  await context.panels.show(started.id, true);
}

function lines(text: string): string {
  const count = text.split("\n").length;
  return count === 1 ? "line" : `${count} lines`;
}

async function pickProvider(context: CommandContext): Promise<ProviderInfo | undefined> {
  const { providers } = await context.server.act("podium/provider/list", {});
  const usable = providers.filter((provider) => provider.usable);
  const item = (provider: ProviderInfo) => ({
    label: `${provider.usable ? "$(pass)" : "$(circle-slash)"} ${provider.name}`,
    description: provider.models.slice(0, 3).join(", "),
    detail: provider.why,
    provider,
  });
  const items = [
    ...usable.map(item),
    { label: "not usable now", kind: vscode.QuickPickItemKind.Separator, provider: undefined },
    ...providers.filter((provider) => !provider.usable).map(item),
  ];
  const placeHolder = usable.length === 0 ? "No provider can be used; choose one to see what it needs" : "Which provider?";
  const options = { ignoreFocusOut: true, title: "Start Session", placeHolder, matchOnDetail: true };
  const chosen = await vscode.window.showQuickPick(items, options);
  if (chosen?.provider?.usable === false) {
    void vscode.window.showWarningMessage(`${chosen.provider.name} cannot be used: ${chosen.provider.why}`);
    return undefined;
  }
  return chosen?.provider;
}

async function open(context: CommandContext, argument: unknown): Promise<void> {
  const session = sessionArgument(argument) ?? (await pickSession(context, "Open which session?"));
  if (session !== undefined) {
    await context.panels.show(session.id, false);
  }
}

async function resume(context: CommandContext, argument: unknown): Promise<void> {
  const session =
    sessionArgument(argument) ?? inFront(context) ?? (await pickSession(context, "Resume which session?", (one) => isOver(one.status)));
  if (session === undefined) {
    return;
  }
  const turn = isUnfinished(session.status) ? {} : await nextTurn(session);
  if (turn !== undefined) {
    await follow(context, await context.server.command<SessionStarted>("podium.session.resume", { id: session.id, ...turn }));
  }
}

/** A session that said all it had to say goes on with another question only. */
async function nextTurn(session: SessionInfo): Promise<{ prompt: string } | undefined> {
  const prompt = await vscode.window.showInputBox({
    title: `Go on with “${shortened(session.title, 40)}”`,
    prompt: "What next?",
    ignoreFocusOut: true,
    validateInput: (value) => (value.trim() === "" ? "Say what comes next" : undefined),
  });
  return prompt === undefined ? undefined : { prompt };
}

async function cancel(context: CommandContext, argument: unknown): Promise<void> {
  const session =
    sessionArgument(argument) ?? inFront(context) ?? (await pickSession(context, "Cancel which session?", (one) => !isOver(one.status)));
  if (session !== undefined) {
    await context.server.act("podium/session/cancel", { id: session.id });
    context.live.refresh("sessions");
  }
}

export function inFront(context: CommandContext): SessionInfo | undefined {
  const id = context.sessions.active;
  return id === undefined ? undefined : context.sessions.info(id);
}

export function sessionArgument(argument: unknown): SessionInfo | undefined {
  const known = typeof argument === "object" && argument !== null && "session" in argument && typeof argument.session === "object";
  return known ? (argument.session as SessionInfo) : undefined;
}

export async function pickSession(
  context: CommandContext,
  placeHolder: string,
  fits: (session: SessionInfo) => boolean = () => true,
): Promise<SessionInfo | undefined> {
  await context.live.fresh("sessions");
  const fitting = context.live.sessions.filter(fits);
  if (fitting.length === 0) {
    throw new Error(context.live.sessions.length === 0 ? "There are no sessions yet" : "No session fits");
  }
  const items = fitting.map((session) => {
    const row = sessionRow(session, new Date());
    return { label: row.label, description: row.description, iconPath: new vscode.ThemeIcon(row.icon), session };
  });
  return (await vscode.window.showQuickPick(items, { ignoreFocusOut: true, placeHolder, matchOnDescription: true }))?.session;
}
