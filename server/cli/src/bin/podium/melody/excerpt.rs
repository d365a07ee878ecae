//! Faults as people read them: the lines in question, with what is wrong underlined.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use podium_cli::style::{Painter, printable};
use podium_melody::Diagnostic;

use super::files::Source;

/// More than anybody reads at once.
const MOST: usize = 50;

/// Text of the faults; what is beyond fifty is counted.
pub(crate) fn excerpts(source: &Source, diagnostics: &[Diagnostic], paint: Painter) -> String {
    let renderer = if paint.paints() { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for found in diagnostics.iter().take(MOST) {
        text += &renderer.render(&[group(source, found)]);
        text += "\n\n";
    }
    if diagnostics.len() > MOST {
        text += &format!("... and {} more; --json lists all\n\n", diagnostics.len() - MOST);
    }
    text
}

fn group<'a>(source: &'a Source, found: &'a Diagnostic) -> Group<'a> {
    let level = if found.is_error() { Level::ERROR } else { Level::WARNING };
    let title = level.primary_title(printable(&found.message)).id(found.code.to_string());
    let (start, lines) = around(&source.text, found.span.start, found.span.end);
    let annotation = AnnotationKind::Primary
        .span(found.span.start - start..found.span.end.min(start + lines.len()) - start);
    let first = source.text[..start].matches('\n').count() + 1;
    let snippet = Snippet::source(lines).path(source.name.as_str()).line_start(first).annotation(annotation);
    let group = title.element(snippet);
    match &found.hint {
        Some(hint) => group.element(Level::HELP.message(printable(hint))),
        None => group,
    }
}

/// Where the first line of a place begins, and its lines: of a long place the first three. Control characters of a
/// file do nothing in a terminal, since the renderer replaces them.
fn around(text: &str, from: usize, to: usize) -> (usize, &str) {
    let from = text.floor_char_boundary(from.min(text.len()));
    let to = text.floor_char_boundary(to.clamp(from, text.len()));
    let start = text[..from].rfind('\n').map_or(0, |at| at + 1);
    let third = text[from..].match_indices('\n').nth(2).map_or(text.len(), |(at, _)| from + at);
    let end = text[to..].find('\n').map_or(text.len(), |at| to + at);
    (start, &text[start..end.min(third).max(from)])
}
