//! What a runner is told at its start, and what it tells about its agent.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    Command, Exit, Limits, ProcessIdentity,
    sandbox::{self, Bind, Mechanism, SandboxError, SandboxPolicy},
};

/// Unacknowledged output from which on the agent is not read any more, unless told otherwise.
const DEFAULT_BACKLOG: u64 = 64 << 20;
const DEFAULT_ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Variable of the agent that tells the run it belongs to. Inherited by all it starts.
pub(super) const MARK: &str = "PODIUM_AGENT_RUN";

/// One run of an agent.
#[derive(Clone)]
pub struct Spec {
    /// Names this run; unique, and no secret.
    pub run: String,
    /// Folder of the run, made if need be, readable by the user only.
    pub folder: PathBuf,
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// All variables of the agent. May hold keys: never written to the disk.
    pub env: BTreeMap<OsString, OsString>,
    pub cwd: PathBuf,
    pub limits: Limits,
    /// How the agent is confined; `None` for an agent that is not.
    pub sandbox: Option<(SandboxPolicy, Mechanism)>,
    /// Bytes of unacknowledged output from which on the agent is not read.
    pub backlog: u64,
    /// With nobody attached for this long, agent and runner end.
    pub abandoned_after: Duration,
}

impl Spec {
    pub fn new(run: impl Into<String>, folder: impl Into<PathBuf>, argv: Vec<OsString>) -> Self {
        Self {
            run: run.into(),
            folder: folder.into(),
            argv,
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            limits: Limits::default(),
            sandbox: None,
            backlog: DEFAULT_BACKLOG,
            abandoned_after: DEFAULT_ABANDONED,
        }
    }

    /// The command that starts the agent.
    pub(super) fn command(&self) -> Result<Command, SandboxError> {
        let (program, args) = match self.argv.split_first() {
            Some((program, args)) => (program.clone(), args),
            None => (OsString::new(), &[][..]),
        };
        let command = Command::new(program)
            .args(args)
            .envs(&self.env)
            .env(MARK, &self.run)
            .cwd(&self.cwd)
            .limits(self.limits.clone())
            .stdin(crate::Stdin::Piped);
        match &self.sandbox {
            Some((policy, mechanism)) => sandbox::wrap(command, policy, *mechanism),
            None => Ok(command),
        }
    }
}

/// Neither arguments nor variables: both may hold secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Spec");
        shown.field("run", &self.run).field("folder", &self.folder).field("program", &self.argv.first());
        shown.finish_non_exhaustive()
    }
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub(super) version: u32,
    pub run: String,
    #[serde(with = "IdentityWire")]
    pub(super) runner: ProcessIdentity,
    /// The agent's pid, which is also the number of its group and session.
    pub agent: u32,
    /// Bytes the agent has written in all.
    pub received: u64,
    /// Offset of the oldest byte that is kept.
    pub oldest: u64,
    /// Number of the last input that was applied; 0 before the first.
    pub applied: u64,
    pub ended: Option<AgentEnd>,
}

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEnd {
    /// Exit code; `None` if a signal ended it or it is not known.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub cause: EndCause,
    /// The last of what it wrote to its standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

/// Who ended an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    Itself,
    /// [`super::Controls::end`].
    Asked,
    /// Nobody was attached for too long.
    Abandoned,
    /// The runner died, and the agent with it.
    RunnerDied,
}

impl AgentEnd {
    pub(super) fn new(exit: Option<Exit>, cause: EndCause, stderr: String) -> Self {
        let (code, signal) = exit.map_or((None, None), |exit| (exit.code, exit.signal));
        Self { code, signal, cause, stderr }
    }

    /// Ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.cause == EndCause::Itself && self.code == Some(0)
    }
}

impl fmt::Display for AgentEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            EndCause::Itself => Exit { code: self.code, signal: self.signal }.fmt(f),
            EndCause::Asked => f.write_str("ended as asked"),
            EndCause::Abandoned => f.write_str("ended after nobody had been attached for too long"),
            EndCause::RunnerDied => f.write_str("died together with its runner"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessIdentity")]
struct IdentityWire {
    pid: u32,
    start_time: u64,
    boot_id: String,
}

/// The spec as it travels. Paths as [`OsString`]s, which survive whatever their bytes are.
#[derive(Serialize, Deserialize)]
pub(super) struct SpecWire {
    run: String,
    folder: OsString,
    argv: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    cwd: OsString,
    limits: LimitsWire,
    sandbox: Option<SandboxWire>,
    backlog: u64,
    abandoned_after: Duration,
}

#[derive(Serialize, Deserialize)]
struct LimitsWire {
    memory: Option<u64>,
    cpu: Option<Duration>,
    files: Option<u64>,
    processes: Option<u64>,
    file_size: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct SandboxWire {
    mechanism: String,
    read_only: Vec<OsString>,
    read_write: Vec<OsString>,
    hidden: Vec<OsString>,
    binds: Vec<(OsString, OsString, bool)>,
    sockets: Vec<OsString>,
    network: bool,
    home: Option<OsString>,
    limits: LimitsWire,
}

impl From<&Spec> for SpecWire {
    fn from(spec: &Spec) -> Self {
        Self {
            run: spec.run.clone(),
            folder: text(&spec.folder),
            argv: spec.argv.clone(),
            env: spec.env.clone(),
            cwd: text(&spec.cwd),
            limits: (&spec.limits).into(),
            sandbox: spec.sandbox.as_ref().map(SandboxWire::from),
            backlog: spec.backlog,
            abandoned_after: spec.abandoned_after,
        }
    }
}

impl TryFrom<SpecWire> for Spec {
    type Error = String;

    fn try_from(wire: SpecWire) -> Result<Self, String> {
        Ok(Self {
            run: wire.run,
            folder: wire.folder.into(),
            argv: wire.argv,
            env: wire.env,
            cwd: wire.cwd.into(),
            limits: wire.limits.into(),
            sandbox: wire.sandbox.map(SandboxWire::into_policy).transpose()?,
            backlog: wire.backlog,
            abandoned_after: wire.abandoned_after,
        })
    }
}

impl From<&(SandboxPolicy, Mechanism)> for SandboxWire {
    fn from((policy, mechanism): &(SandboxPolicy, Mechanism)) -> Self {
        let bind = |bind: &Bind| (text(&bind.from), text(&bind.to), bind.read_only);
        Self {
            mechanism: mechanism.name().to_owned(),
            read_only: texts(&policy.read_only),
            read_write: texts(&policy.read_write),
            hidden: texts(&policy.hidden),
            binds: policy.binds.iter().map(bind).collect(),
            sockets: texts(&policy.sockets),
            network: policy.network,
            home: policy.home.as_deref().map(text),
            limits: (&policy.limits).into(),
        }
    }
}

impl SandboxWire {
    /// A mechanism that is not known here must not become none.
    fn into_policy(self) -> Result<(SandboxPolicy, Mechanism), String> {
        let known = Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == self.mechanism);
        let mechanism = known.ok_or_else(|| format!("there is no sandbox `{}`", self.mechanism))?;
        let bind = |(from, to, read_only): (OsString, OsString, bool)| Bind {
            from: from.into(),
            to: to.into(),
            read_only,
        };
        let policy = SandboxPolicy {
            read_only: paths(self.read_only),
            read_write: paths(self.read_write),
            hidden: paths(self.hidden),
            binds: self.binds.into_iter().map(bind).collect(),
            sockets: paths(self.sockets),
            network: self.network,
            home: self.home.map(PathBuf::from),
            limits: self.limits.into(),
        };
        Ok((policy, mechanism))
    }
}

impl From<&Limits> for LimitsWire {
    fn from(limits: &Limits) -> Self {
        let Limits { memory, cpu, files, processes, file_size } = limits.clone();
        Self { memory, cpu, files, processes, file_size }
    }
}

impl From<LimitsWire> for Limits {
    fn from(wire: LimitsWire) -> Self {
        let LimitsWire { memory, cpu, files, processes, file_size } = wire;
        Self { memory, cpu, files, processes, file_size }
    }
}

fn text(path: &Path) -> OsString {
    path.as_os_str().to_owned()
}

fn texts(paths: &[PathBuf]) -> Vec<OsString> {
    paths.iter().map(|path| text(path)).collect()
}

fn paths(texts: Vec<OsString>) -> Vec<PathBuf> {
    texts.into_iter().map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_spec_arrives_as_it_was_sent() {
        let odd = PathBuf::from(OsString::from_vec(b"/a\xff/b".to_vec()));
        let policy = SandboxPolicy {
            read_only: vec![odd.clone()],
            read_write: vec!["/w".into()],
            hidden: vec!["/h".into()],
            binds: vec![Bind { from: "/f".into(), to: "/t".into(), read_only: true }],
            sockets: vec!["/s".into()],
            network: true,
            home: Some("/somebody".into()),
            limits: Limits { memory: Some(1), ..Limits::default() },
        };
        let spec = Spec {
            env: BTreeMap::from([("KEY".into(), OsString::from_vec(b"v\xfe".to_vec()))]),
            cwd: odd,
            limits: Limits { cpu: Some(Duration::from_secs(3)), files: Some(4), ..Limits::default() },
            sandbox: Some((policy, Mechanism::Landlock)),
            ..Spec::new("run", "/folder", vec!["agent".into(), "--flag".into()])
        };
        let bytes = rmp_serde::to_vec_named(&SpecWire::from(&spec)).unwrap();
        let back = Spec::try_from(rmp_serde::from_slice::<SpecWire>(&bytes).unwrap()).unwrap();
        assert_eq!((&back.argv, &back.env, &back.cwd), (&spec.argv, &spec.env, &spec.cwd));
        assert_eq!((&back.limits, &back.sandbox), (&spec.limits, &spec.sandbox));
        assert_eq!((back.backlog, back.abandoned_after), (spec.backlog, spec.abandoned_after));
        assert_eq!((back.run, back.folder), (spec.run, spec.folder));
    }

    #[test]
    fn nothing_that_may_be_secret_is_in_the_debug_text() {
        let mut spec = Spec::new("run", "/folder", vec!["agent".into(), "--key=hunter2".into()]);
        spec.env.insert("KEY".into(), "hunter3".into());
        assert!(!format!("{spec:?}").contains("hunter"));
    }
}
