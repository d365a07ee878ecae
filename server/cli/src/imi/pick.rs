//! Choosing one of several worktrees, where a person sits at a terminal.

use std::io::{BufRead, IsTerminal as _, Write};

use podium_protocol::Candidate;

use crate::context::Context;
use crate::output::Failure;
use crate::style::{Painter, one_line};
use crate::table::Rows;

/// Questions go to standard error, so that `cd "$(imi go x --print-path)"` can ask too.
pub(super) fn can_ask(context: &Context) -> bool {
    !context.output.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The name of the chosen one; `None` when nothing was chosen.
pub(super) fn one(context: &Context, candidates: &[Candidate]) -> Result<Option<String>, Failure> {
    context.output.note(&question(candidates, context.output.err_painter()));
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    Ok(read.ok().and_then(|_| chosen(candidates, &line)))
}

fn question(candidates: &[Candidate], paint: Painter) -> String {
    let mut rows = Rows::new(&["", "NAME", "BRANCH", "OWNER"]);
    for (at, candidate) in candidates.iter().enumerate() {
        let branch =
            candidate.branch.as_deref().filter(|branch| *branch != candidate.name).unwrap_or_default();
        let owner = candidate.owner.as_ref().map(|owner| one_line(&owner.agent_id)).unwrap_or_default();
        rows.push([(at + 1).to_string(), one_line(&candidate.name), one_line(branch), owner]);
    }
    format!("{}\nWhich one? [1-{}, or a name; Enter for none]", rows.render(paint), candidates.len())
}

/// A number of the list, a name, or the only name that begins so.
fn chosen(candidates: &[Candidate], line: &str) -> Option<String> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    let numbered = line.parse::<usize>().ok().and_then(|number| candidates.get(number.checked_sub(1)?));
    let named = || candidates.iter().find(|candidate| candidate.name == line);
    let mut begins = candidates.iter().filter(|candidate| candidate.name.starts_with(line));
    let begun = begins.next().filter(|_| begins.next().is_none());
    numbered.or_else(named).or(begun).map(|candidate| candidate.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_a_name_or_its_beginning_chooses() {
        let candidates = ["feat-auth", "feat-user-auth", "feat-user-list"].map(|name| Candidate {
            name: name.to_owned(),
            branch: Some(name.to_owned()),
            path: String::new(),
            owner: None,
        });
        let chosen = |line| chosen(&candidates, line);
        assert_eq!(chosen("2\n").as_deref(), Some("feat-user-auth"));
        assert_eq!(chosen("feat-user-list\n").as_deref(), Some("feat-user-list"));
        assert_eq!(chosen("feat-a").as_deref(), Some("feat-auth"));
        for none in ["", "0", "4", "feat-user", "zzz"] {
            assert_eq!(chosen(none), None, "{none}");
        }
    }
}
