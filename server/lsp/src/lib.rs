//! The language server: the only crate that knows LSP types. It translates between an editor on stdio and the
//! daemon; open documents are its only state, all else it can rebuild from the daemon.
//!
//! # For every client
//!
//! - `workspace/executeCommand` with `podium.<name with dots>` for each method of the protocol that is exposed as a
//!   command, and the commands below. The argument is one JSON object whose fields are the method's parameters, all
//!   optional; bare texts stand for its main parameters (`"feat-x"`, or `"x", "fix"`); without arguments the person
//!   chooses by `window/showMessageRequest`, or writes into a scratch document. The answer is the daemon's; `null`
//!   when the person did not choose, `{"scratch": uri}` when a scratch document was opened instead.
//! - Where an argument names no `repo` or `uri`, the focused or last touched document is meant, else the first
//!   folder of the window. `agentId` defaults to `PODIUM_AGENT_ID`.
//! - Two fields of an argument belong to the language server and are not passed on: `interactive` (boolean: a person
//!   sees outcome and errors by `window/showMessage`; true without an object) and `open` (boolean: whether to open the
//!   result; default true for `podium.worktree.switch` and `podium.session.show`, which adds `path` and `uri` of the
//!   read-only transcript to the answer; for `podium.artifact.get` only when interactive).
//! - `podium.session.start` and `podium.session.resume` answer at once and show `$/progress` until the session's end,
//!   which `window/workDoneProgress/cancel` brings on, then one `window/showMessage`.
//! - Code actions on a selection, code lenses on `TODO` and `FIXME`, `workspace/symbol` for queries that start with
//!   `#`, a diagnostic of source `podium` and code `claimed` on the first line of files in somebody else's worktree,
//!   and diagnostics of code `radar` on the lines of open files that another worktree, or trunk, changes too.
//! - A document that is open without unsaved changes becomes what the disk has when a session (or whoever) changes its file,
//!   by `workspace/applyEdit` of its version; of one with unsaved changes the person is told by `window/showMessage`, and it
//!   stays. Clients that announce `experimental.podium` read their files again themselves.
//! - Melodies (`*.melody.toml`, `*.melody.json`): diagnostics of source `podium` as they are typed, completion, hover,
//!   definition, references and rename of nodes and inputs, symbols, formatting, folding, and code lenses on the first
//!   line. They need no daemon.
//! - Errors are JSON-RPC errors: the code by kind, the message for a person, the whole error as `data`.
//!
//! # Commands beyond the protocol's methods
//!
//! | command | argument | what it does |
//! |---|---|---|
//! | `podium.ask` | as `podium.session.start` | opens a scratch document for a question; what is given is sent with it |
//! | `podium.melody.validate` | `{uri}` | answers `{valid, diagnostics, complexity}` as `podium melody validate --json` does |
//! | `podium.scratch.send` | `{uri}` | does with a scratch document's text what it was made for |
//!
//! # Scratch documents
//!
//! Files `<PODIUM_HOME>/scratch/*.md`, opened by `window/showDocument` or told by `window/showMessage`: lines
//! `field: value` between two lines `---` that the person may fill in (worktree, provider, ...), a comment that says
//! what to do, and below it the text. The code action and code lens "Send to Podium" send it, once. The file of the
//! same name ending in `.json` says what it was made for. Both are taken away after 14 days.
//!
//! # Custom methods and notifications
//!
//! Each method that is not internal is the custom method `podium/<name>`, with the same parameters and answer.
//! `podium/events/subscribe` and `podium/session/attach` answer with a subscription whose id is the language
//! server's; it survives restarts of the daemon, without gap or repeat. They need the announcement below.
//! `claim/heartbeat`, subscriptions and methods that only read do not start a daemon that a person has stopped.
//!
//! | name | direction | parameters | answer |
//! |---|---|---|---|
//! | `podium/statusLine` | request | `{uri?}` | `StatusLine` of that file's worktree, else of the current one |
//! | `podium/didFocus` | notification to the server | `{uri?}` | the document that the person looks at; absent: none |
//!
//! Only clients that announce `capabilities.experimental.podium` (`true` or an object) are sent these notifications:
//!
//! | name | parameters |
//! |---|---|
//! | `podium/status` | `StatusLine`, when it changes otherwise than by its age |
//! | `podium/event` | `EventNotification` |
//! | `podium/session/update` | `SessionUpdate` |
//! | `podium/daemon/stopping` | `DaemonStopping`: a person stopped the daemon, it stays away until a person acts |
//! | `podium/progress` | `{request, message, done, total}`: how far the request with that LSP id is |

#![allow(clippy::result_large_err, reason = "the error is the protocol's; each travels once, to a person")]

mod abilities;
mod commands;
mod documents;
mod editor;
mod follow;
mod follow_run;
mod handlers;
mod logging;
mod melody;
mod methods;
mod notifications;
mod places;
mod position;
mod progress;
mod radar;
mod requests;
mod scratch;
mod server;
mod shown;
mod state;
mod status;
mod subscriptions;
mod tasks;
mod to_lsp;
mod todo;
mod transcript;
mod transport;
mod uris;
mod views;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use podium_client::{Client, ConnectOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_lsp::LspService;
use tower_lsp::jsonrpc::Response;

use crate::editor::Editor;
use crate::server::Server;
use crate::state::State;
use crate::transport::Ended;

/// How a language server is run.
#[derive(Debug, Clone)]
pub struct LspOptions {
    pub connect: ConnectOptions,
    /// Who calls where a request does not say: `PODIUM_AGENT_ID`.
    pub agent_id: Option<String>,
    /// File for the log; nothing is logged without one. Standard output belongs to the protocol.
    pub log: Option<PathBuf>,
    /// Filter such as `info` or `warn,podium_lsp=debug`: `PODIUM_LOG`.
    pub log_filter: Option<String>,
}

impl LspOptions {
    #[must_use]
    pub fn new(connect: ConnectOptions) -> Self {
        Self { connect, agent_id: None, log: None, log_filter: None }
    }
}

/// Stack of the threads that read and write stdio, in bytes.
const THREAD_STACK: usize = 256 * 1024;

/// Serves on standard input and output until the client leaves. Success after `shutdown` and `exit`.
#[must_use]
pub fn run(options: LspOptions) -> ExitCode {
    if let Some(path) = &options.log {
        logging::start(path, options.log_filter.as_deref());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK)
        .max_blocking_threads(8)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let clean = runtime.block_on(serve(tokio::io::stdin(), tokio::io::stdout(), options));
    // The thread that reads standard input may wait there for ever.
    runtime.shutdown_background();
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Serves on any pair of streams, within a runtime. True when the client left as the protocol says: `shutdown`, then
/// `exit` or the end of its input.
pub async fn serve(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    options: LspOptions,
) -> bool {
    let daemon = Client::new(options.connect);
    let way = transport::outgoing();
    let out = way.0.way_out();
    let builder = LspService::build(|client| Server {
        state: State::new(Editor::new(client, out), daemon, options.agent_id),
    });
    let (service, socket) = handlers::register(builder).finish();
    let state = Arc::clone(&service.inner().state);
    let queued: Arc<dyn Fn(&Response) + Send + Sync> = {
        let state = Arc::clone(&state);
        Arc::new(move |response| {
            if let Some(id) = response.result().and_then(|result| result["subscription"].as_u64()) {
                state.subscriptions.answered(id);
            }
        })
    };
    let parent_died = tasks::parent_died(Arc::clone(&state));
    let ended = transport::serve(input, output, way, (service, socket), queued, parent_died).await;
    tracing::info!(?ended, "the client is gone");
    matches!(ended, Ended::Exit | Ended::InputClosed) && state.shut_down.load(Ordering::Acquire)
}
