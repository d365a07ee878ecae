//! Landlock decides about files, seccomp about sockets.
//!
//! Landlock only grants, and what it grants on a folder holds for all below. An exception inside a granted folder is made
//! by granting every entry of that folder except the exception, and nothing on the folder itself but listing: nothing
//! new can be made directly in such a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::fs::{FileType, Mode, OFlags};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::{
    Confinement, Mechanism, SandboxError, SandboxPolicy,
    rules::{self, Access, Rule},
};
use crate::Command;

/// Without the truncate right of version 3, files outside could be emptied.
pub(super) const LEAST_ABI: i64 = 3;
/// From this version on, connecting to a unix socket is a right of its own.
const UNIX_SOCKET_ABI: i64 = 9;
const WANTED: ABI = ABI::V9;
/// Entries listed around exceptions, at most.
const MOST_RULES: usize = 65_536;

pub(super) const CANNOT: &[&str] = &[
    "show a path elsewhere than it is (binds)",
    "let files be made directly in a folder that holds a hidden or read-only path",
    "keep modes, times and attributes of files elsewhere from being changed",
    "hide the names of hidden files, or other processes in /proc",
    "provide /tmp and /dev/shm (HOME and TMPDIR name private folders instead)",
    "allow single unix sockets on kernels before Landlock version 9 (all are denied)",
    "limit how many processes run in total (that limit counts all of the user's processes)",
];

/// Devices that programs open and that lead nowhere.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// Version of Landlock in this kernel; 0 if there is none.
pub(super) fn kernel_abi() -> i64 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no memory and makes no descriptor.
    let abi =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION) };
    abi.max(0)
}

#[derive(Debug)]
pub(super) struct Restriction {
    ruleset: OwnedFd,
    filter: BpfProgram,
}

/// Borrowed by number: the restriction outlives the fork.
pub(super) struct ChildSide {
    ruleset: RawFd,
    filter: BpfProgram,
}

impl Restriction {
    pub(super) fn child_side(&self) -> ChildSide {
        ChildSide { ruleset: self.ruleset.as_raw_fd(), filter: self.filter.clone() }
    }
}

impl ChildSide {
    /// Async-signal-safe: only system calls.
    pub(super) fn apply(&self) -> io::Result<()> {
        drop_capabilities()?;
        // SAFETY: plain system calls; the ruleset is open until the child has been started.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::syscall(libc::SYS_landlock_restrict_self, self.ruleset, 0u32) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        seccompiler::apply_filter(&self.filter).map_err(|_| io::Error::last_os_error())
    }
}

/// Landlock leaves root its capabilities, some of which lead around it: CAP_PERFMON reads any process, CAP_SYS_ADMIN and
/// others change the machine. Root's exec would bring them back but for the secure bits.
fn drop_capabilities() -> io::Result<()> {
    const NO_ROOT_LOCKED: libc::c_ulong = 0b11;
    const NO_SETUID_FIXUP_LOCKED: libc::c_ulong = 0b1100;
    const VERSION_3: u32 = 0x2008_0522;
    // SAFETY: plain system calls; the kernel reads two local arrays.
    unsafe {
        // Only the privileged may, and only they need it.
        libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT_LOCKED | NO_SETUID_FIXUP_LOCKED, 0, 0, 0);
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0, 0, 0);
        let header = [VERSION_3, 0];
        let none = [0u32; 6];
        if libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

pub(super) fn wrap(mut command: Command, policy: &SandboxPolicy) -> Result<Command, SandboxError> {
    let abi = kernel_abi();
    if abi < LEAST_ABI {
        let why = format!("the kernel has Landlock version {abi}, and {LEAST_ABI} is needed");
        return Err(SandboxError::Unavailable { mechanism: Mechanism::Landlock, why });
    }
    if abi < UNIX_SOCKET_ABI && !policy.sockets.is_empty() {
        return Err(cannot("access to single unix sockets on this kernel"));
    }
    let scratch = tempfile::Builder::new().prefix("podium-sandbox-").tempdir().map_err(prepare)?;
    let rules = rules::resolve(policy)?;
    for (variable, folder) in [("HOME", "home"), ("TMPDIR", "tmp")] {
        let given = command.env.get(std::ffi::OsStr::new(variable));
        if given.is_some_and(|given| is_writable(&rules, Path::new(given))) {
            continue;
        }
        let folder = scratch.path().join(folder);
        fs::create_dir(&folder).map_err(prepare)?;
        command = command.env(variable, folder);
    }
    let ruleset = ruleset(policy, scratch.path())?;
    let filter = socket_filter(policy.network, !policy.sockets.is_empty()).map_err(prepare)?;
    let landlock = Some(Restriction { ruleset, filter });
    command.confinement = Confinement { landlock, scratch: Some(scratch) };
    Ok(command)
}

fn is_writable(rules: &[Rule], path: &Path) -> bool {
    let real = path.canonicalize().ok();
    let rule = real.as_deref().and_then(|path| rules::deciding(rules, path));
    rule.is_some_and(|rule| rule.access == Access::ReadWrite)
}

fn cannot(what: &str) -> SandboxError {
    SandboxError::CannotEnforce { mechanism: Mechanism::Landlock, what: what.into() }
}

fn prepare(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SandboxError {
    SandboxError::Prepare { mechanism: Mechanism::Landlock, source: source.into() }
}

fn ruleset(policy: &SandboxPolicy, scratch: &Path) -> Result<OwnedFd, SandboxError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(WANTED)))
        .map_err(prepare)?;
    if !policy.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(WANTED)).map_err(prepare)?;
    }
    let mut ruleset = ruleset.create().map_err(prepare)?;
    let grants = grants(&granted(policy)?)?;
    for (path, rights) in grants {
        ruleset = grant(ruleset, &path, rights)?;
    }
    for device in DEVICES {
        ruleset = grant(ruleset, Path::new(device), read() | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    }
    ruleset = grant(ruleset, Path::new("/proc"), read())?;
    ruleset = grant(ruleset, scratch, all())?;
    let fd: Option<OwnedFd> = ruleset.into();
    fd.ok_or_else(|| cannot("anything on this kernel"))
}

/// Rules by path. Later rules on the same path replace earlier ones.
fn granted(policy: &SandboxPolicy) -> Result<BTreeMap<PathBuf, Access>, SandboxError> {
    let mut granted = BTreeMap::new();
    for Rule { path, access } in rules::resolve(policy)? {
        let access = match access {
            Access::Bind { from, read_only } if from == path => {
                if read_only {
                    Access::ReadOnly
                } else {
                    Access::ReadWrite
                }
            }
            Access::Bind { .. } => return Err(cannot("a path shown elsewhere than it is")),
            // Replaced by the scratch folder, so nothing of the real one is granted.
            Access::Private => Access::Hidden { folder: true },
            other => other,
        };
        // A system path that is a symlink (/bin) is granted by its target; a rule on the link would be looked up in vain.
        let path = path.canonicalize().unwrap_or(path);
        granted.insert(path, access);
    }
    Ok(granted)
}

/// What to grant on which path, exceptions spelled out.
fn grants(rules: &BTreeMap<PathBuf, Access>) -> Result<Vec<(PathBuf, BitFlags<AccessFs>)>, SandboxError> {
    let mut out = Vec::new();
    for (path, access) in rules {
        let rights = rights(access);
        if !rights.is_empty() {
            expand(rules, path, rights, &mut out)?;
        }
    }
    Ok(out)
}

fn rights(access: &Access) -> BitFlags<AccessFs> {
    match access {
        Access::System | Access::ReadOnly => read(),
        Access::ReadWrite => all(),
        Access::Private | Access::Hidden { .. } | Access::Bind { .. } => BitFlags::EMPTY,
    }
}

fn expand(
    rules: &BTreeMap<PathBuf, Access>,
    path: &Path,
    wanted: BitFlags<AccessFs>,
    out: &mut Vec<(PathBuf, BitFlags<AccessFs>)>,
) -> Result<(), SandboxError> {
    let weaker_below = rules
        .iter()
        .any(|(other, access)| other != path && other.starts_with(path) && !rights(access).contains(wanted));
    if out.len() >= MOST_RULES {
        return Err(cannot("exceptions in a folder with so many entries"));
    }
    if !weaker_below {
        out.push((path.to_owned(), wanted));
        return Ok(());
    }
    out.push((path.to_owned(), AccessFs::ReadDir.into()));
    let at_path = |source| SandboxError::Path { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(at_path)? {
        let entry = entry.map_err(at_path)?.path();
        // An entry with a rule of its own is granted, or not, by that rule.
        if !rules.contains_key(&entry) {
            expand(rules, &entry, wanted, out)?;
        }
    }
    Ok(())
}

fn read() -> BitFlags<AccessFs> {
    AccessFs::from_read(WANTED)
}

/// Everything but making devices.
fn all() -> BitFlags<AccessFs> {
    AccessFs::from_all(WANTED) & !(AccessFs::MakeChar | AccessFs::MakeBlock)
}

/// Symlinks are not followed: one in a worktree could name anything. What vanished or may not be opened needs no right.
fn grant(
    ruleset: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SandboxError> {
    let Ok(fd) = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    else {
        return Ok(ruleset);
    };
    let stat = rustix::fs::fstat(&fd).map_err(|error| prepare(io::Error::from(error)))?;
    let rights = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => return Ok(ruleset),
        FileType::Directory => rights,
        _ => rights & AccessFs::from_file(WANTED),
    };
    if rights.is_empty() {
        return Ok(ruleset);
    }
    ruleset.add_rule(PathBeneath::new(fd, rights)).map_err(prepare)
}

/// Denies making sockets of the families that are not allowed; `socketpair` stays. `io_uring` could make and connect
/// sockets past this filter.
fn socket_filter(network: bool, unix: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let denied = SeccompAction::Errno(libc::EACCES as u32);
    let mut rules = BTreeMap::new();
    let mut deny = |number: i64, when: Vec<SeccompRule>| {
        rules.insert(number, when.clone());
        // The x32 table of x86-64 has the same calls under these numbers.
        #[cfg(target_arch = "x86_64")]
        rules.insert(number | 0x4000_0000, when);
    };
    deny(libc::SYS_io_uring_setup, Vec::new());
    let mut families = Vec::new();
    if network {
        families.extend([libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]);
    }
    if unix {
        families.push(libc::AF_UNIX);
    }
    let none_of = families
        .into_iter()
        .map(|family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family as u64))
        .collect::<Result<Vec<_>, _>>()?;
    let when = if none_of.is_empty() { Vec::new() } else { vec![SeccompRule::new(none_of)?] };
    deny(libc::SYS_socket, when);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}
