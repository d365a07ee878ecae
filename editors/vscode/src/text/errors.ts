/** What a failed request says to a person. */

import type { ClaimOwner, ErrorKind, WireError } from "../protocol";

const KINDS: readonly ErrorKind[] = ["user", "not_found", "conflict", "busy", "unavailable", "internal"];

/** The typed error inside a failed request, or one made from whatever was thrown. */
export function wireError(thrown: unknown): WireError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const data = isRecord(thrown) ? thrown["data"] : undefined;
  if (!isRecord(data)) {
    return { kind: "internal", message, hints: [] };
  }
  const kind = KINDS.find((known) => known === data["kind"]) ?? "internal";
  const hints = Array.isArray(data["hints"]) ? data["hints"].filter((hint) => typeof hint === "string") : [];
  const text = typeof data["message"] === "string" ? data["message"] : message;
  const owner = isOwner(data["owner"]) ? { owner: data["owner"] } : {};
  return { kind, message: text, hints, ...owner };
}

/** Message and what to do next, as one text for a message box. Nothing is capitalised: a sentence may begin with a name. */
export function errorText(error: WireError): string {
  const hints = error.hints.slice(0, 2).map(bare).filter((hint) => hint !== "");
  const message = `${bare(error.message)}.`;
  return hints.length === 0 ? message : `${message} What helps: ${hints.join("; or ")}.`;
}

function bare(text: string): string {
  return text.trim().replace(/\.$/, "");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isOwner(value: unknown): value is ClaimOwner {
  return isRecord(value) && typeof value["agentId"] === "string" && typeof value["since"] === "string";
}
