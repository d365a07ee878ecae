//! The shell function that lets a child process choose the shell's folder.
//!
//! The function makes an empty file and names it in `PODIUM_CD_FILE`; a command that makes or finds a
//! worktree writes the folder into it; the function goes there. Standard output stays free for text and
//! JSON, a folder may hold any character, and without the function nothing changes.

use serde_json::json;

use super::args::InitShell;
use crate::context::Context;
use crate::output::Ending;

/// For bash and zsh. The `x` behind the folder keeps newlines at its end, which `$(...)` would cut off.
const POSIX: &str = r#"imi() {
    local __imi_file __imi_folder __imi_status=0
    __imi_file=$(command mktemp "${TMPDIR:-/tmp}/imi.XXXXXXXXXX") || { command imi "$@"; return; }
    PODIUM_CD_FILE=$__imi_file command imi "$@" || __imi_status=$?
    __imi_folder=$(command cat "$__imi_file"; printf x)
    __imi_folder=${__imi_folder%x}
    command rm -f "$__imi_file"
    if [ -n "$__imi_folder" ]; then
        builtin cd "$__imi_folder" || __imi_status=$?
    fi
    return "$__imi_status"
}
"#;

const FISH: &str = r#"function imi --wraps imi --description 'Git worktrees for people and agents'
    set -l folder_of /tmp
    test -n "$TMPDIR"; and set folder_of $TMPDIR
    set -l file (command mktemp "$folder_of/imi.XXXXXXXXXX")
    or begin
        command imi $argv
        return
    end
    env PODIUM_CD_FILE=$file imi $argv
    set -l code $status
    set -l folder (command cat $file | string collect --no-trim-newlines)
    command rm -f $file
    if test -n "$folder"
        builtin cd $folder
        or set code $status
    end
    return $code
end
"#;

pub(super) fn print(context: &Context, shell: InitShell) -> Ending {
    let script = script(shell);
    if context.output.is_json() {
        context.output.reply(&json!({ "script": script }), |_| String::new())?;
    } else {
        context.output.text(script)?;
    }
    Ok(0)
}

const fn script(shell: InitShell) -> &'static str {
    match shell {
        InitShell::Bash | InitShell::Zsh => POSIX,
        InitShell::Fish => FISH,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    /// A folder with a stand-in for `imi` that writes the folder named by its arguments, as the real one does.
    struct Bed {
        dir: tempfile::TempDir,
    }

    const STAND_IN: &str = "#!/bin/sh\n[ \"$1\" = fail ] && exit 3\n[ \"$1\" = list ] && { echo listed; exit 0; }\n\
        [ -n \"$PODIUM_CD_FILE\" ] && [ -f \"$PODIUM_CD_FILE\" ] && printf '%s' \"$2\" > \"$PODIUM_CD_FILE\"\n\
        echo \"made $2\"\n";

    impl Bed {
        fn new() -> Self {
            let dir = tempfile::Builder::new().prefix("imi shell ü").tempdir().unwrap();
            let bin = dir.path().join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            std::fs::create_dir_all(dir.path().join("tmp dir")).unwrap();
            std::fs::write(bin.join("imi"), STAND_IN).unwrap();
            std::fs::set_permissions(bin.join("imi"), std::fs::Permissions::from_mode(0o755)).unwrap();
            Self { dir }
        }

        fn folder(&self, name: &str) -> PathBuf {
            let folder = self.dir.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        }

        /// Sources the function, runs the line, prints status and folder. None where the shell is not installed.
        fn run(&self, shell: InitShell, line: &str, target: &Path) -> Option<(String, Output)> {
            let (program, flags, tell) = match shell {
                InitShell::Bash => {
                    ("bash", &["--noprofile", "--norc", "-c"][..], "echo \"status=$?\"; pwd -P")
                }
                InitShell::Zsh => ("zsh", &["-f", "-c"][..], "echo \"status=$?\"; pwd -P"),
                InitShell::Fish => ("fish", &["--no-config", "-c"][..], "echo \"status=$status\"; pwd -P"),
            };
            let text = format!("{}\n{line}\n{tell}\n", script(shell));
            let path =
                format!("{}:{}", self.dir.path().join("bin").display(), std::env::var("PATH").unwrap());
            let output = Command::new(program)
                .args(flags)
                .arg(text)
                .current_dir(self.dir.path())
                .env("PATH", path)
                .env("TMPDIR", self.dir.path().join("tmp dir"))
                .env("HOME", self.dir.path())
                .env("TARGET", target)
                .output()
                .ok()?;
            Some((String::from_utf8_lossy(&output.stdout).into_owned(), output))
        }

        fn leftovers(&self) -> usize {
            std::fs::read_dir(self.dir.path().join("tmp dir")).unwrap().count()
        }
    }

    fn each_shell(check: impl Fn(InitShell, &Bed)) {
        for shell in [InitShell::Bash, InitShell::Zsh, InitShell::Fish] {
            check(shell, &Bed::new());
        }
    }

    #[test]
    fn a_made_worktree_is_entered_whatever_its_name() {
        each_shell(|shell, bed| {
            for name in
                ["plain", "with space", "ünï/cödé", "it's $HOME `x` \"q\" \\", "-dash", "*glob?[a]", "end\n"]
            {
                let target = bed.folder(name);
                let Some((text, output)) = bed.run(shell, "imi feat \"$TARGET\"", &target) else { return };
                let real = target.canonicalize().unwrap();
                let wanted = format!("made {}\nstatus=0\n{}\n", target.display(), real.display());
                assert_eq!(text, wanted, "{shell:?} {output:?}");
                assert_eq!(bed.leftovers(), 0, "{shell:?}");
            }
        });
    }

    #[test]
    fn other_commands_stay_where_they_are_and_keep_their_exit_code() {
        each_shell(|shell, bed| {
            let here = bed.dir.path().canonicalize().unwrap();
            let Some((text, _)) = bed.run(shell, "imi list", &here) else { return };
            assert_eq!(text, format!("listed\nstatus=0\n{}\n", here.display()), "{shell:?}");
            let (text, _) = bed.run(shell, "imi fail", &here).unwrap();
            assert_eq!(text, format!("status=3\n{}\n", here.display()), "{shell:?}");
            assert_eq!(bed.leftovers(), 0, "{shell:?}");
        });
    }

    #[test]
    fn strict_shells_do_not_trip_over_the_function() {
        let bed = Bed::new();
        let target = bed.folder("strict");
        for (shell, strict) in
            [(InitShell::Bash, "set -euo pipefail"), (InitShell::Zsh, "setopt err_exit no_unset")]
        {
            let line = format!("{strict}\nimi feat \"$TARGET\"\nimi fail || echo failed=$?");
            let Some((text, output)) = bed.run(shell, &line, &target) else { continue };
            assert!(text.contains("failed=3") && text.ends_with("/strict\n"), "{shell:?} {output:?}");
        }
    }
}
