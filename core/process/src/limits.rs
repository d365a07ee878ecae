use std::time::Duration;

/// Resource limits of one child, inherited by all it starts. `None` leaves the caller's limit. Both soft and hard limit
/// are set, never above the caller's hard limit. Core dumps are always off: they would hold secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Address space in bytes, per process. Runtimes that reserve much (Go, V8, JVM) need several GiB.
    pub memory: Option<u64>,
    /// Processor time per process; SIGXCPU, then SIGKILL. Rounded up to whole seconds.
    pub cpu: Option<Duration>,
    /// Open file descriptors per process.
    pub files: Option<u64>,
    /// Processes and threads of the user as a whole, not of this child alone (the kernel counts per uid; root is exempt).
    pub processes: Option<u64>,
    /// Largest file that can be written, in bytes; SIGXFSZ.
    pub file_size: Option<u64>,
}

impl Limits {
    /// These limits, each replaced where `other` sets a lower one.
    pub fn tightened_by(&self, other: &Self) -> Self {
        Self {
            memory: lower(self.memory, other.memory),
            cpu: lower(self.cpu, other.cpu),
            files: lower(self.files, other.files),
            processes: lower(self.processes, other.processes),
            file_size: lower(self.file_size, other.file_size),
        }
    }
}

fn lower<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(unix)]
pub(crate) mod child_side {
    use std::io;

    use super::Limits;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    type Resource = libc::__rlimit_resource_t;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    type Resource = libc::c_int;

    /// The limits as a plain array, so that the child allocates nothing between fork and exec.
    #[derive(Clone, Copy)]
    pub(crate) struct Prepared([Option<(Resource, u64)>; 6]);

    impl Prepared {
        pub(crate) fn new(limits: &Limits) -> Self {
            let cpu = limits.cpu.map(|time| time.as_secs() + u64::from(time.subsec_nanos() > 0));
            Self([
                Some((libc::RLIMIT_CORE, 0)),
                limits.memory.map(|value| (libc::RLIMIT_AS, value)),
                cpu.map(|value| (libc::RLIMIT_CPU, value)),
                limits.files.map(|value| (libc::RLIMIT_NOFILE, value)),
                limits.processes.map(|value| (libc::RLIMIT_NPROC, value)),
                limits.file_size.map(|value| (libc::RLIMIT_FSIZE, value)),
            ])
        }

        /// Async-signal-safe.
        pub(crate) fn apply(&self) -> io::Result<()> {
            for (resource, value) in self.0.iter().flatten() {
                let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                // SAFETY: both calls only read or write the local struct.
                let failed = unsafe {
                    libc::getrlimit(*resource, &mut current) != 0 || {
                        let value = current.rlim_max.min(*value as libc::rlim_t);
                        libc::setrlimit(*resource, &libc::rlimit { rlim_cur: value, rlim_max: value }) != 0
                    }
                };
                if failed {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        }
    }
}
