//! Debian packages. Looked for by the program or header that is needed, not by package name, so that whatever brought
//! it counts; only what is missing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Context, program};
use crate::command;

const UPDATE_LIMIT: Duration = Duration::from_secs(300);
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

struct Need {
    package: &'static str,
    what_for: &'static str,
    present: fn() -> bool,
}

const NEEDS: [Need; 10] = [
    Need { package: "bubblewrap", what_for: "sandbox tests", present: || program("bwrap").is_some() },
    Need {
        package: "btrfs-progs",
        what_for: "tests of copies that share blocks",
        present: || program("mkfs.btrfs").is_some() || Path::new("/usr/sbin/mkfs.btrfs").exists(),
    },
    Need { package: "gh", what_for: "tests of reviews", present: || program("gh").is_some() },
    Need { package: "git-lfs", what_for: "tests of large files", present: || program("git-lfs").is_some() },
    Need { package: "tmux", what_for: "terminal tests", present: || program("tmux").is_some() },
    Need { package: "chromium", what_for: "VS Code tests", present: || browser().is_some() },
    Need { package: "g++", what_for: "native modules of VS Code", present: || program("g++").is_some() },
    Need { package: "make", what_for: "native modules of VS Code", present: || program("make").is_some() },
    Need { package: "pkg-config", what_for: "native modules", present: || program("pkg-config").is_some() },
    Need {
        package: "libkrb5-dev",
        what_for: "native modules of VS Code",
        present: || Path::new("/usr/include/gssapi/gssapi.h").exists(),
    },
];

pub(super) fn browser() -> Option<PathBuf> {
    BROWSERS.iter().find_map(|name| program(name))
}

pub(super) fn provision(context: &Context<'_>) -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        let names: Vec<&str> = NEEDS.iter().map(|need| need.package).collect();
        context.report.present(&format!("system packages: {}", names.join(" ")));
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = by_hand(&missing);
    if context.check {
        bail!("{by_hand}");
    }
    let Some(apt) = program("apt-get") else { bail!("there is no apt-get to install with. {by_hand}") };
    let Some(root) = privilege() else { bail!("no root and no password-less sudo. {by_hand}") };
    let log = context.log("system");
    context
        .report
        .action(&format!("system packages: {}", packages.join(" ")), || {
            let update = apt_get(&root, &apt, &["update", "--quiet"]);
            command::logged(update, &log, UPDATE_LIMIT)?;
            let mut install =
                apt_get(&root, &apt, &["install", "--yes", "--quiet", "--no-install-recommends"]);
            install.args(&packages);
            command::logged(install, &log, INSTALL_LIMIT)
        })
        .with_context(|| by_hand.clone())?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => bail!("{} is installed but what it should bring is not there", need.package),
        None => Ok(()),
    }
}

fn by_hand(missing: &[&Need]) -> String {
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let reasons: Vec<String> =
        missing.iter().map(|need| format!("{} ({})", need.package, need.what_for)).collect();
    format!(
        "missing: {}. On Debian or Ubuntu run: apt-get update && apt-get install {}",
        reasons.join(", "),
        packages.join(" ")
    )
}

/// The words before `apt-get`: none as root, `sudo -n` where it asks no password.
fn privilege() -> Option<Vec<&'static str>> {
    if is_root() {
        return Some(Vec::new());
    }
    program("sudo")?;
    let mut asked = Command::new("sudo");
    asked.args(["-n", "true"]);
    command::succeeds(asked).then(|| vec!["sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"])
}

fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}

fn apt_get(privilege: &[&str], apt: &Path, arguments: &[&str]) -> Command {
    let mut command = match privilege.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(apt);
            command
        }
        None => Command::new(apt),
    };
    // Another package manager may be at work on a freshly started machine.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_by_hand_names_each_package_its_use_and_the_command() {
        let need = |package: &str| NEEDS.iter().find(|need| need.package == package).unwrap();
        let text = by_hand(&[need("bubblewrap"), need("chromium")]);
        assert_eq!(
            text,
            "missing: bubblewrap (sandbox tests), chromium (VS Code tests). On Debian or Ubuntu run: apt-get \
             update && apt-get install bubblewrap chromium"
        );
    }

    #[test]
    fn sudo_comes_before_apt_and_asks_no_question() {
        let command = apt_get(&["sudo", "-n"], Path::new("/usr/bin/apt-get"), &["update"]);
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(words, ["-n", "/usr/bin/apt-get", "-o", "DPkg::Lock::Timeout=300", "update"]);
    }
}
