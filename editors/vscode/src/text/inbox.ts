/** The answers that a question may have. */

import type { InboxDecision, InboxItem, InboxScope } from "../protocol";

export interface InboxChoice {
  label: string;
  decision: InboxDecision;
  scope: InboxScope;
}

const LABELS: Record<InboxScope, string> = {
  once: "Allow Once",
  session: "Allow for Session",
  project: "Allow in This Repository",
};

export function inboxChoices(item: Pick<InboxItem, "options">): InboxChoice[] {
  const scopes = item.options ?? [];
  const allow: InboxChoice[] =
    scopes.length > 1
      ? scopes.map((scope) => ({ label: LABELS[scope], decision: "allow", scope }))
      : [{ label: "Allow", decision: "allow", scope: "once" }];
  return [...allow, { label: "Deny", decision: "deny", scope: "once" }];
}
