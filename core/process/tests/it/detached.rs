use std::{fs, fs::File};

use podium_process::{Detached, ProcessState, watch_exit};

use crate::support::{pid_in, within};

#[tokio::test]
async fn a_daemon_has_nothing_of_its_starter() {
    let folder = tempfile::tempdir().unwrap();
    let (facts, pid) = (folder.path().join("facts"), folder.path().join("pid"));
    let script = r#"streams=$(readlink /proc/$$/fd/0 /proc/$$/fd/1)
        { pwd; env | grep -c CARGO; echo $streams; cut -d' ' -f5,6 /proc/$$/stat; } >"$FACTS"
        echo trouble >&2; echo $$ >"$PID_FILE"; exec sleep 1000"#;
    let log = folder.path().join("log");
    let identity = Detached::new("/bin/sh")
        .args(["-c", script])
        .envs([("FACTS", facts.as_os_str()), ("PID_FILE", pid.as_os_str())])
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    assert_eq!(pid_in(&pid).await, identity);
    let leader = identity.pid;
    assert_eq!(
        fs::read_to_string(&facts).unwrap(),
        format!("/\n0\n/dev/null /dev/null\n{leader} {leader}\n")
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "trouble\n");
    // SAFETY: the process was started above and is known to be alive.
    assert_eq!(unsafe { libc::kill(leader as i32, libc::SIGKILL) }, 0);
    within(watch_exit(&identity)).await.unwrap();
    assert_eq!(identity.state(), ProcessState::Dead);
}
