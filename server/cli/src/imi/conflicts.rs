//! `imi conflicts`: what would not merge, before anybody merges.

use podium_protocol::{
    ConflictFile, ConflictKind, ConflictPair, RepoSelector, WorktreeConflicts, WorktreeConflictsMethod,
    WorktreeConflictsParams,
};

use super::args::ConflictsArgs;
use super::folder_name;
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::{Painter, one_line};

/// Line ranges of a file that are shown.
const RANGES: usize = 6;

pub(super) async fn list(context: &Context, at: RepoSelector, args: ConflictsArgs) -> Ending {
    let client = context.client()?;
    let params = WorktreeConflictsParams { at, name: args.name.map(folder_name) };
    let call = client.call::<WorktreeConflictsMethod>(params);
    let answer = waiting(&context.output, "trying the merges", call).await?;
    context.output.reply(&answer, |paint| render(&answer, paint))?;
    Ok(0)
}

fn render(answer: &WorktreeConflicts, paint: Painter) -> String {
    let mut text = String::new();
    if !answer.up_to_date {
        text += &format!("{} the look takes long; this is how it was before\n", paint.yellow("note:"));
    }
    if answer.pairs.is_empty() {
        text += &format!("{} all work fits together", paint.green("✓"));
    }
    for pair in &answer.pairs {
        text += &shown(pair, paint);
    }
    text
}

fn shown(pair: &ConflictPair, paint: Painter) -> String {
    let side = |name: &str, owner: &Option<String>| match owner {
        Some(owner) => {
            format!("{} {}", paint.bold(&one_line(name)), paint.dim(&format!("({})", one_line(owner))))
        }
        None => paint.bold(&one_line(name)),
    };
    let mut text = format!("{} ⨯ {}\n", side(&pair.a, &pair.owner_a), side(&pair.b, &pair.owner_b));
    for file in &pair.files {
        text += &format!("  {}  {}\n", one_line(&file.path), paint.dim(&told(pair, file)));
    }
    text
}

/// `lines 3-5, 9; in feat-y lines 4-8`
fn told(pair: &ConflictPair, file: &ConflictFile) -> String {
    let what = match file.kind {
        ConflictKind::Content => String::new(),
        ConflictKind::AddAdd => "both made it, ".to_owned(),
        ConflictKind::ModifyDelete => "changed and deleted, ".to_owned(),
        ConflictKind::Rename => "renamed differently, ".to_owned(),
        ConflictKind::Directory => "a file and a folder, ".to_owned(),
        ConflictKind::Binary => "binary, ".to_owned(),
        ConflictKind::Mode => "different kinds of file, ".to_owned(),
        ConflictKind::Submodule => "different commits of a submodule, ".to_owned(),
    };
    let other = match (&file.path_b, lines(&file.ranges_b)) {
        (Some(path), lines) => format!("in {} it is {} {lines}", one_line(&pair.b), one_line(path)),
        (None, lines) if lines.is_empty() => String::new(),
        (None, lines) => format!("in {} {lines}", one_line(&pair.b)),
    };
    let own = lines(&file.ranges);
    let both = [own, other].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    format!("{what}{both}").trim().trim_end_matches(',').to_owned()
}

fn lines(ranges: &[[u32; 2]]) -> String {
    if ranges.is_empty() {
        return String::new();
    }
    let one = |[from, to]: &[u32; 2]| if from == to { from.to_string() } else { format!("{from}-{to}") };
    let mut shown: Vec<String> = ranges.iter().take(RANGES).map(one).collect();
    if ranges.len() > RANGES {
        shown.push("...".to_owned());
    }
    let word = if ranges.len() == 1 && ranges[0][0] == ranges[0][1] { "line" } else { "lines" };
    format!("{word} {}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: ConflictKind, ranges: &[[u32; 2]], ranges_b: &[[u32; 2]]) -> ConflictFile {
        ConflictFile {
            path: path.into(),
            path_b: None,
            kind,
            ranges: ranges.to_vec(),
            ranges_b: ranges_b.to_vec(),
        }
    }

    #[test]
    fn pairs_are_told_with_owners_files_and_lines() {
        let renamed = ConflictFile {
            path_b: Some("old.rs".into()),
            ..file("new.rs", ConflictKind::Content, &[[1, 1]], &[[2, 2]])
        };
        let pair = ConflictPair {
            a: "feat-x".into(),
            b: "feat-y".into(),
            trunk: false,
            owner_a: Some("claude-1".into()),
            owner_b: None,
            path_a: "/w/feat-x".into(),
            path_b: Some("/w/feat-y".into()),
            files: vec![
                file("a.rs", ConflictKind::Content, &[[3, 5], [9, 9]], &[[4, 8]]),
                file("b.png", ConflictKind::Binary, &[], &[]),
                file("c.rs", ConflictKind::ModifyDelete, &[[7, 7]], &[]),
                renamed,
            ],
        };
        let answer = WorktreeConflicts { pairs: vec![pair], up_to_date: true };
        let expected = "feat-x (claude-1) ⨯ feat-y\n  a.rs  lines 3-5, 9; in feat-y lines 4-8\n  b.png  binary\n  \
                        c.rs  changed and deleted, line 7\n  new.rs  line 1; in feat-y it is old.rs line 2\n";
        assert_eq!(render(&answer, Painter::new(false)), expected);
    }

    #[test]
    fn nothing_is_told_as_well() {
        let answer = WorktreeConflicts { pairs: vec![], up_to_date: true };
        assert_eq!(render(&answer, Painter::new(false)), "✓ all work fits together");
    }
}
