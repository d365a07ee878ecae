//! Ending a child together with all it started.

use std::io;

/// A signal that ends processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndSignal {
    /// Ask.
    Terminate,
    /// Force.
    Kill,
}

/// The session led by one child. The leader must not have been reaped when a signal is sent: only then its pid, and the
/// group and session of that number, can not mean somebody else's processes.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    pub(crate) leader: u32,
    /// Whether the leader itself is asked to end. Not so for `bwrap`: it would take its whole pid namespace with it at
    /// once, and leave no time to what runs inside.
    pub(crate) ask_leader: bool,
    /// Descendants seen so far. One that moved to another session can not be found any more once its parent is dead, so
    /// it is looked for before anybody is signalled, and remembered until it is killed.
    #[cfg(target_os = "linux")]
    known: Vec<Member>,
}

impl ProcessGroup {
    pub(crate) fn new(leader: u32, ask_leader: bool) -> Self {
        Self {
            leader,
            ask_leader,
            #[cfg(target_os = "linux")]
            known: Vec::new(),
        }
    }
}

#[cfg(unix)]
impl ProcessGroup {
    /// Sends `signal` to the group and, on Linux, to all descendants, also those that moved to a session of their own.
    pub(crate) fn signal(&mut self, signal: EndSignal) -> io::Result<()> {
        let number = match signal {
            EndSignal::Terminate => libc::SIGTERM,
            EndSignal::Kill => libc::SIGKILL,
        };
        #[cfg(target_os = "linux")]
        self.look_around();
        let whole_group = signal == EndSignal::Kill || self.ask_leader;
        if whole_group {
            self.signal_group(number)?;
        }
        self.signal_strays(signal, whole_group);
        Ok(())
    }

    fn signal_group(&self, signal: libc::c_int) -> io::Result<()> {
        let Ok(group) = libc::pid_t::try_from(self.leader) else { return Ok(()) };
        // SAFETY: plain system call; the leader is not reaped yet, so the group is ours.
        if unsafe { libc::kill(-group, signal) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            // macOS answers EPERM where only zombies are left.
            error if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EPERM)) => Ok(()),
            error => Err(error),
        }
    }

    /// Whether anybody new was found.
    #[cfg(target_os = "linux")]
    fn look_around(&mut self) -> bool {
        let before = self.known.len();
        for member in members(self.leader, &self.known) {
            if !self.known.iter().any(|known| known.key() == member.key()) {
                self.known.push(member);
            }
        }
        self.known.len() > before
    }

    #[cfg(target_os = "linux")]
    fn signal_strays(&mut self, signal: EndSignal, group_has_it: bool) {
        // A process may fork while the list is read: look again until nobody new shows up.
        const ROUNDS: usize = 16;
        let mut done = 0;
        for _ in 0..ROUNDS {
            for member in &self.known[done..] {
                // Nobody is asked twice: many programs take a second SIGTERM as "at once".
                let has_it = group_has_it && member.stat.group == self.leader;
                if member.pid != self.leader && !has_it {
                    signal_exactly(*member, signal);
                }
            }
            done = self.known.len();
            if !self.look_around() {
                break;
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn signal_strays(&mut self, _signal: EndSignal, _group_has_it: bool) {}
}

#[cfg(not(unix))]
impl ProcessGroup {
    pub(crate) fn signal(&mut self, _signal: EndSignal) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
use linux::members;
#[cfg(target_os = "linux")]
pub(crate) use linux::{Member, descendants, living_processes, signal_exactly};

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::HashSet, fs};

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::EndSignal;
    use crate::identity::platform::{Stat, read_stat};

    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Member {
        pub(crate) pid: u32,
        pub(crate) stat: Stat,
    }

    impl Member {
        pub(super) fn key(&self) -> (u32, u64) {
            (self.pid, self.stat.start_time)
        }
    }

    /// Living processes of the leader's group and session, and all their descendants.
    pub(super) fn members(leader: u32, known: &[Member]) -> Vec<Member> {
        let all = living_processes();
        let known: HashSet<(u32, u64)> = known.iter().map(Member::key).collect();
        let mut pids: HashSet<u32> =
            all.iter().filter(|it| known.contains(&it.key())).map(|it| it.pid).collect();
        pids.insert(leader);
        loop {
            let before = pids.len();
            for member in &all {
                let Stat { group, session, parent, .. } = member.stat;
                if group == leader || session == leader || pids.contains(&parent) {
                    pids.insert(member.pid);
                }
            }
            if pids.len() == before {
                break;
            }
        }
        all.into_iter().filter(|member| pids.contains(&member.pid)).collect()
    }

    /// Living processes below `root`, without itself.
    pub(crate) fn descendants(root: u32) -> Vec<Member> {
        let all = living_processes();
        let mut pids = HashSet::from([root]);
        loop {
            let before = pids.len();
            pids.extend(
                all.iter().filter(|it| pids.contains(&it.stat.parent)).map(|it| it.pid).collect::<Vec<_>>(),
            );
            if pids.len() == before {
                break;
            }
        }
        all.into_iter().filter(|member| member.pid != root && pids.contains(&member.pid)).collect()
    }

    pub(crate) fn living_processes() -> Vec<Member> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .filter_map(|pid| Some(Member { pid, stat: read_stat(pid).ok()? }))
            .filter(|member| !member.stat.dead)
            .collect()
    }

    /// Through a pidfd whose start time was checked after opening: a reused pid is never hit.
    pub(crate) fn signal_exactly(member: Member, signal: EndSignal) {
        let Some(raw) = i32::try_from(member.pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(raw, PidfdFlags::empty()) else { return };
        if read_stat(member.pid).is_ok_and(|stat| stat.start_time == member.stat.start_time) {
            let signal = match signal {
                EndSignal::Terminate => Signal::TERM,
                EndSignal::Kill => Signal::KILL,
            };
            // It may end by itself in between, which is what was wanted.
            let _ = pidfd_send_signal(&fd, signal);
        }
    }
}
