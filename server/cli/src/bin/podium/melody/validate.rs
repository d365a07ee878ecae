//! `podium melody validate`.

use std::path::Path;

use podium_cli::context::Context;
use podium_cli::output::{Ending, Failure};
use podium_cli::style::{Painter, count};
use podium_melody::{Diagnostic, Document};
use podium_protocol::WireError;
use serde::Serialize;
use serde_json::json;

use super::excerpt::excerpts;
use super::files::Source;

/// What is said of a melody, under `data`, whether it can run or not.
#[derive(Debug, Serialize)]
struct Judgement<'a> {
    file: &'a str,
    valid: bool,
    diagnostics: &'a [Diagnostic],
    /// 1 to 10; absent where nothing could be read.
    complexity: Option<u8>,
    nodes: usize,
    edges: usize,
}

pub(crate) fn run(context: &Context, file: &Path) -> Ending {
    let source = Source::read(file)?;
    let document = source.document();
    let judgement = judge(&source, &document);
    if context.output.is_json() && !judgement.valid {
        return Err(Failure::Partly(Box::new(fault(&source, &document)), json!(judgement)));
    }
    context.output.reply(&judgement, |paint| render(&source, &document, paint))?;
    if judgement.valid { Ok(0) } else { Err(Failure::Said(1)) }
}

/// The error of a command that needs a melody without faults.
pub(crate) fn fault(source: &Source, document: &Document) -> WireError {
    let errors = document.diagnostics.iter().filter(|found| found.is_error());
    let first = errors.clone().next();
    let place = first.map(|found| format!("line {}: {}", found.range.start.line, found.message));
    let error = WireError::user(format!("{} has {}", source.name, count(errors.count() as u64, "fault")));
    match place {
        Some(place) => error.hint(place),
        None => error,
    }
}

fn judge<'a>(source: &'a Source, document: &'a Document) -> Judgement<'a> {
    let melody = document.melody.as_ref();
    Judgement {
        file: &source.name,
        valid: document.is_valid(),
        diagnostics: &document.diagnostics,
        complexity: document.complexity,
        nodes: melody.map_or(0, |melody| melody.nodes.len()),
        edges: melody.map_or(0, |melody| melody.edges.len()),
    }
}

fn render(source: &Source, document: &Document, paint: Painter) -> String {
    let mut text = excerpts(source, &document.diagnostics, paint);
    let judgement = judge(source, document);
    let (nodes, edges) = (count(judgement.nodes as u64, "node"), count(judgement.edges as u64, "edge"));
    let errors = document.diagnostics.iter().filter(|found| found.is_error()).count();
    let complexity = judgement.complexity.unwrap_or_default();
    text += &if judgement.valid {
        format!("{} {}: {nodes}, {edges}, complexity {complexity} of 10", paint.green("ready"), source.name)
    } else {
        format!("{} {}: {}", paint.red("cannot run"), source.name, count(errors as u64, "fault"))
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_shown_where_they_stand_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.melody.toml");
        let text = "id = \"x\"\nversion = \"1.0.0\"\n\n[[nodes]]\nid = \"ask\"\nkind = \"instrument\"\nuses = \"lcoal\"\n\
                    params = { prompt = \"On {{topic}}.\" }\n\n[[nodes]]\nid = \"save\"\nkind = \"operator\"\n\
                    uses = \"noop\"\n\n[[edges]]\nfrom = \"save.out\"\nto = \"save.in\"\n";
        std::fs::write(&file, text).unwrap();
        let mut source = Source::read(&file).unwrap();
        source.name = "x.melody.toml".into();
        insta::assert_snapshot!(render(&source, &source.document(), Painter::new(false)));
    }
}
