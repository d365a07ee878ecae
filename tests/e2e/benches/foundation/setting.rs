//! What a part needs around it: an environment of its own, a client in it, and the daemon's end.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow};
use podium_client::{Client, ConnectOptions, EnvSource, StartPolicy};
use podium_harness::{Poll, TestEnvironment, process};
use podium_protocol::WireError;
use tokio::runtime::Runtime;

/// One thread, as the language server and the command lines have it.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// A client of the environment's daemon, which must run.
pub(crate) fn client(environment: &TestEnvironment, name: &str) -> Client {
    let mut options = ConnectOptions::new(environment.home().clone(), name);
    options.start = StartPolicy::Never;
    let vars = environment.vars().iter();
    let env: BTreeMap<String, String> = vars
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())))
        .collect();
    options.env = EnvSource::Fixed(env);
    Client::new(options)
}

/// Ends every daemon of the environment and waits until nothing of it is left, also not what was just being started.
pub(crate) fn end_daemons(environment: &TestEnvironment) -> Result<()> {
    let gone = Poll::new(Duration::from_secs(20)).until(|| {
        environment.daemons().into_iter().for_each(process::terminate);
        environment.processes().is_empty().then_some(())
    });
    gone.ok_or_else(|| anyhow!("processes are left: {:?}", environment.processes()))
}

/// The daemon's errors with what they advise.
pub(crate) fn told(error: WireError) -> anyhow::Error {
    let hints = error.hints.join("; ");
    anyhow!("{} ({:?}; {hints})", error.message, error.kind)
}
