use std::{
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    Mechanism, SandboxError, SandboxPolicy,
    rules::{self, Access, Rule},
};
use crate::Command;

pub(super) const CANNOT: &[&str] = &[
    "limit how many processes run in total (that limit counts all of the user's processes)",
    "keep abstract unix sockets out of reach when the network is allowed",
];

/// System places first: a `bwrap` that an agent put into the `PATH` must not confine it.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["/usr/bin", "/usr/local/bin", "/bin"]
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path).filter(|folder| folder.is_absolute()))
        .map(|folder| folder.join("bwrap"))
        .find(|file| {
            file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
}

pub(super) fn wrap(mut command: Command, policy: &SandboxPolicy) -> Result<Command, SandboxError> {
    let bwrap = find().ok_or_else(|| SandboxError::Unavailable {
        mechanism: Mechanism::Bubblewrap,
        why: "the program `bwrap` was not found (Debian and Ubuntu: package bubblewrap)".into(),
    })?;
    let rules = rules::resolve(policy)?;
    let mut args = Arguments::default();
    args.push(["--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session"]);
    args.push(["--cap-drop", "ALL"]);
    if !policy.network {
        args.push(["--unshare-net"]);
    }
    args.push(["--proc", "/proc", "--dev", "/dev"]);
    for rule in &rules {
        mount(&mut args, rule, &rules);
    }
    for given in policy.read_only.iter().chain(&policy.read_write).chain(&policy.sockets) {
        alias(&mut args, given, &rules);
    }
    if policy.network {
        resolver(&mut args, &rules);
    }
    args.push([OsStr::new("--chdir"), command.cwd.as_os_str(), OsStr::new("--"), &command.program]);
    args.0.append(&mut command.args);
    command.args = args.0;
    command.program = bwrap.into();
    command.cwd = PathBuf::from("/");
    command.ask_leader = false;
    Ok(command)
}

fn mount(args: &mut Arguments, rule: &Rule, rules: &[Rule]) {
    let path = rule.path.as_os_str();
    match &rule.access {
        Access::System | Access::ReadOnly => args.mount("--ro-bind", path, path),
        Access::ReadWrite => args.mount("--bind", path, path),
        Access::Bind { from, read_only } => {
            args.mount(if *read_only { "--ro-bind" } else { "--bind" }, from.as_os_str(), path);
        }
        Access::Private => args.push([OsStr::new("--tmpfs"), path]),
        // What is not there need not be covered, and covering it would tell that it exists.
        Access::Hidden { .. } if !is_shown(rules, &rule.path) => {}
        Access::Hidden { folder: true } => {
            args.push([OsStr::new("--perms"), OsStr::new("0555"), OsStr::new("--tmpfs"), path]);
        }
        Access::Hidden { folder: false } => args.mount("--ro-bind", OsStr::new("/dev/null"), path),
    }
}

/// Whether a hidden path would be seen without its own rule.
fn is_shown(rules: &[Rule], path: &Path) -> bool {
    let parent = path.parent().unwrap_or(path);
    let above = rules::deciding(rules, parent);
    let same = rules.iter().any(|rule| rule.path == path && !matches!(rule.access, Access::Hidden { .. }));
    same || above.is_some_and(|rule| !matches!(rule.access, Access::Private | Access::Hidden { .. }))
}

/// A path given through a symlink exists inside under that name too.
fn alias(args: &mut Arguments, given: &Path, rules: &[Rule]) {
    let Ok(real) = given.canonicalize() else { return };
    if real == given || rules::deciding(rules, given).is_some_and(|rule| rule.access != Access::Private) {
        return;
    }
    args.push([OsStr::new("--symlink"), real.as_os_str(), given.as_os_str()]);
}

/// `/etc/resolv.conf` often points out of `/etc`.
fn resolver(args: &mut Arguments, rules: &[Rule]) {
    let Ok(real) = Path::new("/etc/resolv.conf").canonicalize() else { return };
    if rules::deciding(rules, &real).is_none() {
        args.mount("--ro-bind", real.as_os_str(), real.as_os_str());
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn push<A: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = A>) {
        self.0.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    }

    fn mount(&mut self, kind: &str, from: &OsStr, to: &OsStr) {
        self.push([OsStr::new(kind), from, to]);
    }
}
