/** The extension's and the daemon's own health. */

import * as vscode from "vscode";
import type { PartState } from "../protocol";
import type { CommandContext, CommandTable } from "./context";

const ICONS: Record<PartState, string> = { ok: "pass", degraded: "warning", broken: "error", off: "circle-slash" };
const WORST_FIRST: readonly PartState[] = ["broken", "degraded", "ok", "off"];

export function systemCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.doctor": () => doctor(context),
    "podium.ui.showLogs": async () => context.log.show(true),
    "podium.ui.restart": () => context.server.restart(),
    "podium.ui.wake": () => context.server.wake(),
    "podium.ui.refresh": async () => context.live.refreshAll(),
    "podium.ui.openSettings": async () => {
      await vscode.commands.executeCommand("workbench.action.openSettings", "podium.");
    },
  };
}

async function doctor(context: CommandContext): Promise<void> {
  const { parts } = await context.server.act("podium/doctor", {});
  const sorted = [...parts].sort((a, b) => WORST_FIRST.indexOf(a.state) - WORST_FIRST.indexOf(b.state));
  const items = sorted.map((part) => ({
    label: `$(${ICONS[part.state]}) ${part.name}`,
    description: part.state,
    detail: [part.message, part.hint].filter((text) => text !== "").join(" — "),
    part,
  }));
  const bad = parts.filter((part) => part.state === "broken" || part.state === "degraded").length;
  const placeHolder = bad === 0 ? "All is well" : `${bad} of ${parts.length} parts need a look; choose one to copy what to do`;
  const chosen = await vscode.window.showQuickPick(items, { title: "Podium Doctor", placeHolder, matchOnDetail: true });
  if (chosen !== undefined && chosen.part.hint !== "") {
    await vscode.env.clipboard.writeText(chosen.part.hint);
    vscode.window.setStatusBarMessage("$(clippy) Copied what to do", 3_000);
  }
}
