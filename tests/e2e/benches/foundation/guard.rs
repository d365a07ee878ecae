//! What the guard's hook costs each time that git calls it, beside a hook that does nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use podium_harness::TestEnvironment;

use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::Samples;

const CALLS: usize = 200;
const AGENT: &str = "bench";

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().without_origin().build();
    let made = environment.imi(["feat", "x", "--agent-id", AGENT]).within(&repo).data();
    let tree = PathBuf::from(made["worktree"]["path"].as_str().context("a worktree has a path")?);
    let guard = environment.imi(["guard", "status"]).within(&repo).data();
    let folder = PathBuf::from(guard["folder"].as_str().context("the guard has a folder")?);
    let nothing = environment.root().join("nothing");
    std::fs::write(&nothing, "#!/bin/sh\nexit 0\n")?;
    std::fs::set_permissions(&nothing, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let admin = PathBuf::from(environment.git(&tree, ["rev-parse", "--absolute-git-dir"]));
    let zero = "0".repeat(40);
    let update = format!("{zero} {} refs/heads/feat-x\n", environment.git(&tree, ["rev-parse", "HEAD"]));
    let hook = |program: &Path, samples: &mut Samples| -> Result<()> {
        let passes = samples.time(|| call(program, &admin, &tree, &update))?;
        ensure!(passes, "{} refuses its holder", program.display());
        Ok(())
    };
    let mut rows = Vec::new();
    for name in ["reference-transaction", "pre-commit"] {
        let (mut ours, mut peer) = (Samples::default(), Samples::default());
        for _ in 0..effort.times(CALLS) {
            hook(&folder.join(name), &mut ours)?;
            hook(&nothing, &mut peer)?;
        }
        rows.push(
            Row::new(format!("the guard's {name}, each call"), Figure::ms(&ours))
                .peer("a hook that does nothing", Figure::ms(&peer))
                .at_most(5.0),
        );
    }
    Ok(rows)
}

/// As git calls it in a claimed worktree of whoever commits.
fn call(program: &Path, admin: &Path, tree: &Path, update: &str) -> Result<bool> {
    let mut hook = Command::new(program)
        .arg("prepared")
        .env("GIT_DIR", admin)
        .env("PODIUM_AGENT_ID", AGENT)
        .current_dir(tree)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut input) = hook.stdin.take() {
        // A hook that needs no input may have ended.
        let _ = input.write_all(update.as_bytes());
    }
    Ok(hook.wait()?.success())
}
