//! Commands that an agent has us run: in the worktree, confined as the agent is. They end with the turn.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podium_process::{Child, Command, Exit, INHERITED_ENV};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::schema::{INTERNAL, INVALID_PARAMS, NewTerminal, RpcError};
use crate::Env;
use crate::child::Room;
use crate::workplace::{CommandOptions, Workplace, WorkplaceError};

/// Output kept where the agent names no bound, and the most that it may name.
const KEPT: u64 = 1 << 20;
const MOST_KEPT: u64 = 16 << 20;
const MOST_TERMINALS: usize = 64;
const GRACE: Duration = Duration::from_secs(1);
/// What is read after the end: something that escaped may hold the pipe.
const DRAIN: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Terminals(Mutex<HashMap<String, Arc<Terminal>>>);

struct Terminal {
    output: Mutex<Tail>,
    ended: watch::Receiver<Option<Exit>>,
    stop: CancellationToken,
}

/// The last bytes of an output.
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Terminals {
    /// `folder` lies below `root`.
    pub(super) async fn create(
        &self,
        root: &Path,
        folder: &Path,
        asked: &NewTerminal,
        env: &Env,
        room: &Room,
    ) -> Result<Value, RpcError> {
        if lock(&self.0).len() >= MOST_TERMINALS {
            return Err(invalid(format!("there are {MOST_TERMINALS} terminals already; release some")));
        }
        let child = match room.workplace.clone() {
            Some(place) => confined(place, folder, asked, room.command_network).await?,
            None => command(asked, env).cwd(root.join(folder)),
        };
        let child = child.grace(GRACE);
        let child = child.spawn().map_err(|error| failed(&error))?;
        let limit = asked.limit.unwrap_or(KEPT).min(MOST_KEPT);
        let (ended, receiver) = watch::channel(None);
        let terminal = Arc::new(Terminal {
            output: Mutex::new(Tail { bytes: Vec::new(), limit: limit as usize, truncated: false }),
            ended: receiver,
            stop: CancellationToken::new(),
        });
        tokio::spawn(run(child, Arc::clone(&terminal), ended));
        let id = format!("term-{}", uuid::Uuid::now_v7().simple());
        lock(&self.0).insert(id.clone(), terminal);
        Ok(json!({ "terminalId": id }))
    }

    pub(super) fn output(&self, id: &str) -> Result<Value, RpcError> {
        let terminal = self.get(id)?;
        let tail = lock(&terminal.output);
        let exit = *terminal.ended.borrow();
        Ok(json!({
            "output": String::from_utf8_lossy(&tail.bytes),
            "truncated": tail.truncated,
            "exitStatus": exit.map(exit_status),
        }))
    }

    pub(super) async fn wait(&self, id: &str) -> Result<Value, RpcError> {
        let mut ended = self.get(id)?.ended.clone();
        let exit = ended.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        exit.map(exit_status).ok_or_else(|| invalid(format!("terminal `{id}` was lost")))
    }

    pub(super) fn kill(&self, id: &str) -> Result<Value, RpcError> {
        self.get(id)?.stop.cancel();
        Ok(json!({}))
    }

    pub(super) fn release(&self, id: &str) -> Result<Value, RpcError> {
        self.kill(id)?;
        lock(&self.0).remove(id);
        Ok(json!({}))
    }

    fn get(&self, id: &str) -> Result<Arc<Terminal>, RpcError> {
        let found = lock(&self.0).get(id).cloned();
        found.ok_or_else(|| invalid(format!("there is no terminal `{id}` any more")))
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        for terminal in lock(&self.0).values() {
            terminal.stop.cancel();
        }
    }
}

/// In the agent's workplace, under the rules for commands.
async fn confined(
    place: Arc<Workplace>,
    folder: &Path,
    asked: &NewTerminal,
    network: bool,
) -> Result<Command, RpcError> {
    let env = asked.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let (folder, network) = (folder.to_owned(), Some(network));
    let options = CommandOptions { folder, env, network, ..CommandOptions::default() };
    let argv = argv(asked);
    let command = tokio::task::spawn_blocking(move || place.command(argv, &options)).await;
    command.unwrap_or(Err(WorkplaceError::CutOff)).map_err(|error| failed(&error))
}

/// A program with arguments is started as it is; a line without any is for the shell.
fn argv(asked: &NewTerminal) -> Vec<String> {
    match asked.args.is_empty() {
        true => ["/bin/sh", "-c", &asked.command].map(str::to_owned).into(),
        false => [&asked.command].into_iter().chain(&asked.args).cloned().collect(),
    }
}

/// Where agents are not confined.
fn command(asked: &NewTerminal, env: &Env) -> Command {
    let argv = argv(asked);
    let mut command = Command::new(&argv[0]).args(&argv[1..]);
    for name in INHERITED_ENV {
        if let Some(value) = std::env::var_os(name) {
            command = command.env(name, value);
        }
    }
    let given = env.iter().chain(asked.env.iter().map(|(name, value)| (name, value)));
    given.fold(command, |command, (name, value)| command.env(name, value))
}

async fn run(mut child: Child, terminal: Arc<Terminal>, ended: watch::Sender<Option<Exit>>) {
    let readers = [
        child.stdout.take().map(|pipe| tokio::spawn(read(pipe, Arc::clone(&terminal)))),
        child.stderr.take().map(|pipe| tokio::spawn(read(pipe, Arc::clone(&terminal)))),
    ];
    let exit = tokio::select! {
        exit = child.wait() => exit,
        () = terminal.stop.cancelled() => child.terminate().await,
    };
    for mut reader in readers.into_iter().flatten() {
        if tokio::time::timeout(DRAIN, &mut reader).await.is_err() {
            reader.abort();
        }
    }
    ended.send_replace(Some(exit.unwrap_or(Exit { code: None, signal: None })));
}

async fn read(mut pipe: impl AsyncRead + Unpin, terminal: Arc<Terminal>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        lock(&terminal.output).push(&buffer[..read]);
    }
}

impl Tail {
    /// Cut from the beginning, at a character.
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        if self.bytes.len() <= self.limit {
            return;
        }
        self.truncated = true;
        let mut from = self.bytes.len() - self.limit;
        while self.bytes.get(from).is_some_and(|byte| byte & 0xC0 == 0x80) {
            from += 1;
        }
        self.bytes.drain(..from);
    }
}

fn exit_status(exit: Exit) -> Value {
    json!({ "exitCode": exit.code, "signal": exit.signal.map(|number| number.to_string()) })
}

fn invalid(message: String) -> RpcError {
    RpcError { code: INVALID_PARAMS, message }
}

fn failed(error: &dyn std::error::Error) -> RpcError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    RpcError { code: INTERNAL, message }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
