/** Whose a worktree is, seen from this editor. */

import type { ClaimInfo, ClaimOwner } from "../protocol";
import { clock } from "./time";

export type Standing = "free" | "mine" | "other" | "dead";

/** The names under which this editor's person or agent holds claims. */
export type OwnNames = ReadonlySet<string>;

export function standing(claim: ClaimInfo | null, own: OwnNames): Standing {
  if (claim === null) {
    return "free";
  }
  if (own.has(claim.agentId)) {
    return "mine";
  }
  return claim.alive === false ? "dead" : "other";
}

/** `claude-1 since 14:02`. */
export function heldBy(owner: Pick<ClaimOwner, "agentId" | "since">, now: Date): string {
  return `${owner.agentId} since ${clock(owner.since, now)}`;
}

/** What is known about an owner, a line for each fact. */
export function ownerFacts(owner: ClaimOwner, now: Date): string[] {
  const facts = [`Held by ${heldBy(owner, now)}`, `On ${owner.host}`];
  if (owner.pid !== null) {
    facts.push(`Process ${owner.pid}`);
  }
  if (owner.session !== undefined && owner.session !== null) {
    facts.push(`Session ${owner.session}`);
  }
  facts.push(aliveness(owner));
  return facts;
}

function aliveness(owner: ClaimOwner): string {
  if (owner.alive === true) {
    return "The owner is alive";
  }
  return owner.alive === false
    ? "The owner is dead: you can claim the worktree"
    : "Whether the owner is alive cannot be proven";
}
