//! The scripts: those that clap writes, with a question for names added where a command takes one.

use std::fmt::Write as _;

use clap::{Arg, Command};
use clap_complete::Shell;

use super::Names;

/// Options whose values are names, in every program.
const OPTIONS: &[(&str, Names)] =
    &[("worktree", Names::Worktrees), ("session", Names::Sessions), ("session-id", Names::Sessions)];

/// The completion script of a program.
pub(super) fn of(shell: Shell, command: &mut Command, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let mut places = Vec::new();
    collect(command, name, &mut places);
    match shell {
        Shell::Bash => script + &bash(name, &places),
        Shell::Zsh => zsh(&script, name),
        Shell::Fish => script + &fish(name, &places),
        _ => script,
    }
}

/// Commands, by all their words, whose first argument is such a name.
fn collect(command: &Command, path: &str, places: &mut Vec<(String, Names)>) {
    if let Some(names) = command.get_positionals().next().and_then(|arg| taken(command, arg)) {
        places.push((path.to_owned(), names));
    }
    for sub in command.get_subcommands() {
        for word in std::iter::once(sub.get_name()).chain(sub.get_visible_aliases()) {
            collect(sub, &format!("{path} {word}"), places);
        }
    }
}

/// What an argument names, by what its help says.
fn taken(command: &Command, arg: &Arg) -> Option<Names> {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if command.get_name() == "go" || help.starts_with("Worktree") || help.contains("this worktree") {
        return Some(Names::Worktrees);
    }
    help.starts_with("Id of the session").then_some(Names::Sessions)
}

fn bash(name: &str, places: &[(String, Names)]) -> String {
    let function = name.replace('-', "_");
    let mut cases = String::new();
    for (path, names) in places {
        let _ = writeln!(cases, "            '{path}') kind={} ;;", names.word());
    }
    let mut options = String::new();
    for (option, names) in OPTIONS {
        let _ = writeln!(options, "        --{option}) kind={} ;;", names.word());
    }
    format!(
        r#"
_{function}_named() {{
    _{function} "$@"
    local cur=${{COMP_WORDS[COMP_CWORD]}} path={name} kind='' word name
    case $cur in -*) return 0 ;; esac
    case ${{COMP_WORDS[COMP_CWORD-1]}} in
{options}        --*) return 0 ;;
    esac
    if [ -z "$kind" ]; then
        for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
            case $word in -*) ;; *) path="$path $word" ;; esac
        done
        case $path in
{cases}        esac
    fi
    [ -n "$kind" ] || return 0
    while IFS= read -r name; do
        case $name in "$cur"*) COMPREPLY+=("$name") ;; esac
    done < <({name} completions --names "$kind" 2>/dev/null)
}}
complete -F _{function}_named -o bashdefault -o default {name}
"#
    )
}

/// Where clap leaves an argument to files, the names are offered.
fn zsh(script: &str, name: &str) -> String {
    let offered = |line: &str| {
        let names =
            if line.contains(" -- Worktree") || line.contains("this worktree") || is_option(line, "worktree")
            {
                Names::Worktrees
            } else if line.contains(" -- Id of the session") || is_option(line, "session-id") {
                Names::Sessions
            } else {
                return line.to_owned();
            };
        line.replacen(":_default", &format!(":_{name}_{}", names.word()), 1)
    };
    let mut lines: Vec<String> = script.lines().map(offered).collect();
    for names in [Names::Worktrees, Names::Sessions] {
        let word = names.word();
        let function = format!(
            "_{name}_{word}() {{ local -a names; names=(${{(f)\"$({name} completions --names {word} 2>/dev/null)\"}}); compadd -a names }}"
        );
        // Behind the line that says what the script completes.
        lines.insert(1, function);
    }
    lines.join("\n") + "\n"
}

fn is_option(line: &str, name: &str) -> bool {
    line.trim_start().starts_with(&format!("'--{name}="))
}

fn fish(name: &str, places: &[(String, Names)]) -> String {
    let mut script = String::new();
    for (path, names) in places {
        let words = path.split(' ').skip(1).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            script,
            "complete -c {name} -f -n \"string match -q '* {words} *' -- (commandline -cp)\" -a \"({name} completions --names {} 2>/dev/null)\"",
            names.word()
        );
    }
    for (option, names) in OPTIONS {
        let _ = writeln!(
            script,
            "complete -c {name} -f -l {option} -r -a \"({name} completions --names {} 2>/dev/null)\"",
            names.word()
        );
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imi::ImiCli;
    use crate::jelmore::JelmoreCli;
    use clap::CommandFactory;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            assert!(of(shell, &mut ImiCli::command(), "imi").contains("verify-lock"), "{shell}");
        }
    }

    #[test]
    fn commands_that_take_a_name_are_known() {
        let mut places = Vec::new();
        collect(&ImiCli::command(), "imi", &mut places);
        collect(&JelmoreCli::command(), "jelmore", &mut places);
        let kind = |path: &str| places.iter().find(|(p, _)| p == path).map(|(_, names)| *names);
        for path in
            ["imi claim", "imi release", "imi remove", "imi rm", "imi go", "imi status", "imi heartbeat"]
        {
            assert_eq!(kind(path), Some(Names::Worktrees), "{path}");
        }
        for path in ["jelmore sessions show", "jelmore sessions resume", "jelmore sessions cancel"] {
            assert_eq!(kind(path), Some(Names::Sessions), "{path}");
        }
        for path in ["imi feat", "imi undo", "jelmore start", "jelmore sessions search"] {
            assert_eq!(kind(path), None, "{path}");
        }
    }

    #[test]
    fn zsh_offers_names_where_it_offered_files() {
        let script = of(Shell::Zsh, &mut ImiCli::command(), "imi");
        assert!(script.starts_with("#compdef imi\n"), "{script:.80}");
        assert!(script.contains(":_imi_worktrees'") && script.contains("_imi_worktrees() {"), "{script}");
        let script = of(Shell::Zsh, &mut JelmoreCli::command(), "jelmore");
        assert!(script.contains(":_jelmore_sessions'"), "{script}");
    }
}
