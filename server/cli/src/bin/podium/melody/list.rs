//! `podium melody list`.

use std::path::{Path, PathBuf};

use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_cli::style::{Painter, one_line};
use podium_cli::table::Rows;
use podium_melody::Format;
use podium_protocol::WireError;
use serde::Serialize;

use super::files::Source;

/// More melodies than a repository has.
const MOST: usize = 1_000;

#[derive(Debug, Serialize)]
struct Melodies {
    root: PathBuf,
    melodies: Vec<Listed>,
    /// Whether there are more than are listed.
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    /// Relative to the root.
    path: PathBuf,
    id: String,
    name: String,
    version: String,
    nodes: usize,
    valid: bool,
    faults: usize,
    complexity: Option<u8>,
}

pub(crate) fn run(context: &Context, repo: Option<&Path>) -> Ending {
    let from = repo.unwrap_or(Path::new("."));
    let from = from
        .canonicalize()
        .map_err(|error| WireError::not_found(format!("cannot read {}: {error}", from.display())))?;
    let root = from.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&from).to_owned();
    let mut files: Vec<PathBuf> = ignore::WalkBuilder::new(&root)
        .hidden(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter(|entry| Format::of_melody(&entry.file_name().to_string_lossy()).is_some())
        .map(ignore::DirEntry::into_path)
        .take(MOST + 1)
        .collect();
    files.sort();
    let truncated = files.len() > MOST;
    files.truncate(MOST);
    let melodies = files.iter().filter_map(|file| listed(&root, file)).collect();
    let answer = Melodies { root, melodies, truncated };
    context.output.reply(&answer, |paint| render(&answer, paint))?;
    Ok(0)
}

/// A file that cannot be read is none of the repository's melodies.
fn listed(root: &Path, file: &Path) -> Option<Listed> {
    let document = Source::read(file).ok()?.document();
    let path = file.strip_prefix(root).unwrap_or(file).to_owned();
    let faults = document.diagnostics.iter().filter(|found| found.is_error()).count();
    let (valid, complexity) = (document.is_valid(), document.complexity);
    let melody = document.melody;
    let (id, name, version) = melody
        .as_ref()
        .map(|melody| (melody.id.clone(), melody.name.clone(), melody.version.clone()))
        .unwrap_or_default();
    let nodes = melody.map_or(0, |melody| melody.nodes.len());
    Some(Listed { path, id, name, version, nodes, valid, faults, complexity })
}

fn render(answer: &Melodies, paint: Painter) -> String {
    if answer.melodies.is_empty() {
        return "no melodies; they are files called NAME.melody.toml or NAME.melody.json".to_owned();
    }
    let mut rows = Rows::new(&["MELODY", "NAME", "VERSION", "NODES", "STATE"]).right(3);
    for melody in &answer.melodies {
        let state = match melody.faults {
            0 => "ready".to_owned(),
            1 => "1 fault".to_owned(),
            faults => format!("{faults} faults"),
        };
        let path = one_line(&melody.path.to_string_lossy());
        let nodes = melody.nodes.to_string();
        rows.push([path, one_line(&melody.name), one_line(&melody.version), nodes, state]);
    }
    rows.render(paint)
}
