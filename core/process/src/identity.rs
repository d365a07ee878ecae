use crate::ProcessError;

/// Names one process for good: a pid alone is reused, and means nothing after a reboot. Only meaningful on the host and
/// in the pid namespace where it was taken; who stores identities of other hosts must not ask for their state here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    pub pid: u32,
    /// Clock ticks since boot at which the process started; 0 where the platform does not tell.
    pub start_time: u64,
    /// The kernel's random id of this boot; empty where the platform has none.
    pub boot_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    Alive,
    /// Proven: the pid is free, a zombie, somebody else's by now, or from another boot.
    Dead,
    /// Can not be told, for example where `/proc` hides other users' processes.
    Unknown,
}

impl ProcessIdentity {
    /// The identity of the process that has `pid` now.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] if there is none or it is a zombie.
    pub fn of(pid: u32) -> Result<Self, ProcessError> {
        platform::identify(pid)
    }

    pub fn current() -> Result<Self, ProcessError> {
        Self::of(std::process::id())
    }

    pub fn state(&self) -> ProcessState {
        platform::state(self)
    }
}

/// Resolves when the process has ended, at once if it already has. On Linux the kernel tells (pidfd); elsewhere the
/// process is looked at twice a second, and one whose state can never be proven is waited for without end.
///
/// # Errors
/// [`ProcessError::Watch`] where the kernel refuses a pidfd.
pub async fn watch_exit(identity: &ProcessIdentity) -> Result<(), ProcessError> {
    platform::watch_exit(identity).await
}

#[cfg(target_os = "linux")]
pub(crate) mod platform {
    use std::{fs, io, os::fd::OwnedFd, sync::OnceLock};

    use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};
    use tokio::io::{Interest, unix::AsyncFd};

    use super::{ProcessIdentity, ProcessState};
    use crate::ProcessError;

    /// What `/proc/<pid>/stat` tells.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Stat {
        pub(crate) dead: bool,
        pub(crate) parent: u32,
        pub(crate) group: u32,
        pub(crate) session: u32,
        pub(crate) start_time: u64,
    }

    pub(crate) fn read_stat(pid: u32) -> io::Result<Stat> {
        let text = fs::read(format!("/proc/{pid}/stat"))?;
        parse_stat(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unexpected /proc stat line"))
    }

    /// The command name is in parentheses and may hold spaces, parentheses and any bytes: fields count from the last `)`.
    pub(crate) fn parse_stat(line: &[u8]) -> Option<Stat> {
        let after_name = line.iter().rposition(|byte| *byte == b')')? + 1;
        let fields: Vec<&str> =
            std::str::from_utf8(&line[after_name..]).ok()?.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
        let id = |index: usize| number(index).map(|value| u32::try_from(value).unwrap_or(0));
        Some(Stat {
            dead: matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: id(1)?,
            group: id(2)?,
            session: id(3)?,
            start_time: u64::try_from(number(19)?).ok()?,
        })
    }

    fn boot_id() -> io::Result<&'static str> {
        static BOOT_ID: OnceLock<String> = OnceLock::new();
        if let Some(id) = BOOT_ID.get() {
            return Ok(id);
        }
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(BOOT_ID.get_or_init(|| id.trim().to_owned()))
    }

    fn is_gone(error: &io::Error) -> bool {
        // ESRCH: the process ended between open and read.
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
    }

    pub(super) fn identify(pid: u32) -> Result<ProcessIdentity, ProcessError> {
        let stat = match read_stat(pid) {
            Ok(stat) if stat.dead => return Err(ProcessError::NoSuchProcess { pid }),
            Ok(stat) => stat,
            Err(error) if is_gone(&error) => return Err(ProcessError::NoSuchProcess { pid }),
            Err(source) => return Err(ProcessError::Identity { pid, source }),
        };
        let boot_id = boot_id().map_err(|source| ProcessError::Identity { pid, source })?.to_owned();
        Ok(ProcessIdentity { pid, start_time: stat.start_time, boot_id })
    }

    pub(super) fn state(identity: &ProcessIdentity) -> ProcessState {
        match boot_id() {
            Ok(current) if current != identity.boot_id => return ProcessState::Dead,
            Ok(_) => {}
            Err(_) => return ProcessState::Unknown,
        }
        match read_stat(identity.pid) {
            Ok(stat) if stat.dead || stat.start_time != identity.start_time => ProcessState::Dead,
            Ok(_) => ProcessState::Alive,
            Err(error) if is_gone(&error) && pid_is_free(identity.pid) => ProcessState::Dead,
            Err(_) => ProcessState::Unknown,
        }
    }

    /// `/proc` mounted with `hidepid` shows no process of other users; a signal 0 still tells that the pid is taken.
    fn pid_is_free(pid: u32) -> bool {
        match i32::try_from(pid).ok().and_then(Pid::from_raw) {
            Some(pid) => test_kill_process(pid) == Err(rustix::io::Errno::SRCH),
            None => true,
        }
    }

    /// A pidfd that surely belongs to `identity`; `None` if that process is dead.
    pub(crate) fn open_pidfd(identity: &ProcessIdentity) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(identity.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Only now: the pid may have been reused just before it was opened, but not after.
        Ok((state(identity) != ProcessState::Dead).then_some(fd))
    }

    pub(super) async fn watch_exit(identity: &ProcessIdentity) -> Result<(), ProcessError> {
        let watch = |source| ProcessError::Watch { pid: identity.pid, source };
        let Some(fd) = open_pidfd(identity).map_err(watch)? else { return Ok(()) };
        // SAFETY: the descriptor is owned here, stays open as long as its registration, and is never replaced.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        let fd = fd.map_err(|error| watch(error.into()))?;
        fd.readable().await.map(drop).map_err(watch)
    }

    #[cfg(test)]
    mod tests {
        use super::parse_stat;

        #[test]
        fn names_with_parentheses_and_spaces_do_not_shift_fields() {
            let line = b"42 (a) R 1 (b) S 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";
            let stat = parse_stat(line).unwrap();
            assert_eq!((stat.parent, stat.group, stat.session, stat.start_time), (7, 42, 41, 987_654));
            assert!(!stat.dead);
            assert_eq!(parse_stat(b"42 (x) S 1"), None);
            assert_eq!(parse_stat(b""), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) mod platform {
    use std::time::Duration;

    use super::{ProcessIdentity, ProcessState};
    use crate::ProcessError;

    const LOOK_EVERY: Duration = Duration::from_millis(500);

    pub(super) fn identify(pid: u32) -> Result<ProcessIdentity, ProcessError> {
        if pid_is_free(pid) {
            return Err(ProcessError::NoSuchProcess { pid });
        }
        Ok(ProcessIdentity { pid, start_time: 0, boot_id: String::new() })
    }

    pub(super) fn state(identity: &ProcessIdentity) -> ProcessState {
        if identity.pid == std::process::id() {
            ProcessState::Alive
        } else if pid_is_free(identity.pid) {
            ProcessState::Dead
        } else {
            ProcessState::Unknown
        }
    }

    #[cfg(unix)]
    fn pid_is_free(pid: u32) -> bool {
        let Ok(pid) = libc::pid_t::try_from(pid) else { return true };
        // SAFETY: signal 0 only asks whether the process exists.
        let free = unsafe { libc::kill(pid, 0) } != 0;
        free && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
    }

    #[cfg(not(unix))]
    fn pid_is_free(_pid: u32) -> bool {
        false
    }

    pub(super) async fn watch_exit(identity: &ProcessIdentity) -> Result<(), ProcessError> {
        while state(identity) != ProcessState::Dead {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
