//! `podium setup`: connects an editor. Without `--write` it says what it would do, with it the same is done.

mod helix;
mod neovim;
mod vscode;

use std::path::{Path, PathBuf};
use std::process::Command;

use podium_cli::context::Context;
use podium_cli::output::{Ending, Failure};
use podium_cli::style::{Painter, printable, shell_word};
use podium_protocol::WireError;
use serde::Serialize;

use crate::args::{Editor, SetupArgs};

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Write {
        path: PathBuf,
        text: String,
    },
    /// Moves what is there out of the way.
    Backup {
        path: PathBuf,
        to: PathBuf,
    },
    Run {
        program: PathBuf,
        arguments: Vec<String>,
    },
}

/// What connecting an editor takes, and what the person does after it.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<Step>,
    /// What is left to the person.
    then: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SetupReport {
    editor: &'static str,
    written: bool,
    steps: Vec<String>,
    next: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &SetupArgs) -> Ending {
    let (editor, plan) = match args.editor {
        Editor::Vscode => ("vscode", vscode::plan()?),
        Editor::Neovim => ("neovim", neovim::plan(&data_folder()?, &timestamp())),
        Editor::Helix => ("helix", helix::plan(&config_folder()?, &timestamp())?),
    };
    let mut report = SetupReport { editor, written: args.write, steps: Vec::new(), next: plan.then };
    for step in &plan.steps {
        if args.write {
            carry_out(step)?;
        }
        report.steps.push(describe(step));
    }
    context.output.reply(&report, |paint| render(&report, paint))?;
    Ok(0)
}

fn render(report: &SetupReport, paint: Painter) -> String {
    let head = match (report.steps.is_empty(), report.written) {
        (true, _) => "nothing to do".to_owned(),
        (false, true) => "done:".to_owned(),
        (false, false) => "this would be done:".to_owned(),
    };
    let mut text = format!("{}\n", paint.bold(&head));
    for step in &report.steps {
        text += &format!("  {}\n", printable(step));
    }
    for next in &report.next {
        text += &format!("{} {}\n", paint.cyan("hint:"), printable(next));
    }
    if !report.written && !report.steps.is_empty() {
        text += &format!("{} `podium setup {} --write` does it\n", paint.cyan("hint:"), report.editor);
    }
    text
}

fn describe(step: &Step) -> String {
    match step {
        Step::Write { path, text } => format!("write {} ({} lines)", path.display(), text.lines().count()),
        Step::Backup { path, to } => format!("move {} to {}", path.display(), to.display()),
        Step::Run { program, arguments } => {
            let words: Vec<String> = arguments.iter().map(|a| shell_word(a)).collect();
            format!("run {} {}", program.display(), words.join(" "))
        }
    }
}

fn carry_out(step: &Step) -> Result<(), Failure> {
    match step {
        Step::Write { path, text } => {
            write(path, text).map_err(|e| failed(&format!("{} cannot be written", path.display()), &e))
        }
        Step::Backup { path, to } => {
            back_up(path, to).map_err(|e| failed(&format!("{} cannot be moved", path.display()), &e))
        }
        Step::Run { program, arguments } => {
            // Its own words go to standard error: standard output is this command's answer.
            let output = Command::new(program)
                .args(arguments)
                .output()
                .map_err(|e| failed(&format!("{} cannot be run", program.display()), &e))?;
            if output.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it gives no reason");
            Err(WireError::unavailable(format!("{}: {last}", describe(step))).into())
        }
    }
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    WireError::unavailable(format!("{what}: {error}")).into()
}

fn back_up(path: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::rename(path, to)
}

/// Through a file beside it, so that an editor never reads half a configuration.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are the owner's only; a configuration is an ordinary file.
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string()
}

fn data_folder() -> Result<PathBuf, Failure> {
    folder("XDG_DATA_HOME", ".local/share")
}

fn config_folder() -> Result<PathBuf, Failure> {
    folder("XDG_CONFIG_HOME", ".config")
}

/// Editors look here on every Unix, macOS included.
fn folder(variable: &str, below_home: &str) -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set(variable)
        .filter(|p| p.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(below_home)))
        .ok_or_else(|| WireError::user("no home folder is known").hint("set HOME").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/languages.toml");
        let to = dir.path().join("a/old/languages.toml.bak");
        carry_out(&Step::Write { path: path.clone(), text: "old".into() }).unwrap();
        carry_out(&Step::Backup { path: path.clone(), to: to.clone() }).unwrap();
        carry_out(&Step::Write { path: path.clone(), text: "new".into() }).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(to).unwrap(), "old");
    }

    #[test]
    fn a_program_that_fails_is_an_error_with_its_last_words() {
        let step =
            Step::Run { program: "sh".into(), arguments: vec!["-c".into(), "echo no >&2; exit 1".into()] };
        let Err(Failure::Wire(error)) = carry_out(&step) else { panic!("no error") };
        assert!(error.message.ends_with(": no"), "{error}");
    }

    #[test]
    fn a_plan_says_what_it_would_do() {
        let steps = vec![
            describe(&Step::Backup { path: "/c/a.toml".into(), to: "/c/a.toml.bak".into() }),
            describe(&Step::Write { path: "/c/a.toml".into(), text: "a\nb\n".into() }),
            describe(&Step::Run {
                program: "code".into(),
                arguments: vec!["--install-extension".into(), "/a b.vsix".into()],
            }),
        ];
        let report = SetupReport { editor: "helix", written: false, steps, next: vec!["restart it".into()] };
        insta::assert_snapshot!(render(&report, Painter::new(false)));
    }
}
