/** Podium's own methods, typed. Views and commands see this and not the language client. */

import type { Methods, Notifications, StatusLine } from "./protocol";

/** What the language server offers editors beyond the protocol that it shares with the daemon. */
interface EditorMethods {
  "podium/statusLine": { params: { uri?: string }; answer: StatusLine };
}

type AllMethods = Methods & EditorMethods;
export type MethodName = keyof AllMethods;
export type Params<M extends MethodName> = AllMethods[M]["params"];
export type Answer<M extends MethodName> = AllMethods[M]["answer"];
export type NotificationName = keyof Notifications;

export interface Rpc {
  /** For what the extension does by itself. Never brings a daemon back that somebody stopped. */
  read<M extends MethodName>(method: M, params: Params<M>): Promise<Answer<M>>;
  /** For what a person asked for. Brings the daemon back first, should it have been stopped. */
  act<M extends MethodName>(method: M, params: Params<M>): Promise<Answer<M>>;
}

/** Names the repository and worktree that a request is about. */
export interface At {
  repo?: string;
  uri?: string;
}
