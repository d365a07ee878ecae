//! Types of worktrees.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use podium_protocol::{
    RepoSelector, TypeAdd, TypeChangeParams, TypeList, TypeListMethod, TypeListParams, TypeRemove,
};

use super::args::{ImiCli, OfTypeCli, TypesCommand};
use super::worktrees;
use crate::context::{Context, repo_selector};
use crate::output::{Ending, usage};
use crate::style::{Painter, one_line};
use crate::table::Rows;

pub(super) async fn run(context: &Context, command: Option<TypesCommand>) -> Ending {
    let client = context.client()?;
    let change = |name: String, about: Option<String>| TypeChangeParams { name, about };
    let list = match command {
        None | Some(TypesCommand::List) => client.call::<TypeListMethod>(TypeListParams {}).await?,
        Some(TypesCommand::Add { name, about }) => client.call::<TypeAdd>(change(name, about)).await?,
        Some(TypesCommand::Remove { name }) => client.call::<TypeRemove>(change(name, None)).await?,
    };
    context.output.reply(&list, |paint| shown(&list, paint))?;
    Ok(0)
}

/// `imi docs intro`, where `docs` is a type that a person added.
pub(super) async fn create(context: &Context, at: RepoSelector, words: Vec<OsString>) -> Ending {
    let kind = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let list = context.client()?.call::<TypeListMethod>(TypeListParams {}).await?;
    if !list.types.iter().any(|known| known.name == kind) {
        let known: Vec<String> =
            ImiCli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        let near = known.iter().filter(|name| near(name, &kind)).map(|name| format!("`imi {name}`"));
        let near: Vec<String> = near.take(3).collect();
        let hint = match near.as_slice() {
            [] => "`imi --help` shows the commands, `imi types` the types of worktrees".to_owned(),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        let text = format!("`{}` is neither a command nor a type of worktree", one_line(&kind));
        return Err(usage(text, hint));
    }
    match OfTypeCli::try_parse_from(&words[1..]) {
        Ok(parsed) => {
            let at = match parsed.repo {
                Some(repo) => repo_selector(Some(&repo))?,
                None => at,
            };
            worktrees::create(context, at, &kind, parsed.create).await
        }
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Err(usage(line, format!("imi {kind} NAME [--agent-id ID] [--from REVISION]")))
        }
    }
}

/// Two letters exchanged, one missing, one too many.
fn near(name: &str, given: &str) -> bool {
    let (mut a, mut b): (Vec<char>, Vec<char>) = (name.chars().collect(), given.chars().collect());
    let alike = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    a.sort_unstable();
    b.sort_unstable();
    a == b || (alike >= 3 && a.len().abs_diff(b.len()) <= 2)
}

fn shown(list: &TypeList, paint: Painter) -> String {
    let mut rows = Rows::new(&["TYPE", "FOR", "NOTE"]);
    for kind in &list.types {
        let note = if kind.builtin { "" } else { "your own" };
        rows.push([kind.name.clone(), one_line(&kind.about), note.to_owned()]);
    }
    rows.render(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert!(
            near("list", "lsit") && near("merge", "merg") && near("release", "relase") && !near("list", "du")
        );
    }
}
