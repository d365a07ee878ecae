//! A person's words and what the editor knows about the place become the prompt.

use std::fmt::Write as _;

use podium_protocol::SessionContext;

use crate::SessionError;

/// Longest prompt, in bytes.
const MAX_PROMPT: usize = 256 * 1024;
/// Longest selection that goes along, in bytes.
const MAX_SELECTION: usize = 64 * 1024;
/// Diagnostics that go along.
const MAX_DIAGNOSTICS: usize = 20;

/// Symbols around the place that go along.
const MAX_SYMBOLS: usize = 10;

/// The whole prompt. The person's words come first, then file, symbols, diagnostics and selection.
pub(crate) fn compose(prompt: &str, context: Option<&SessionContext>) -> Result<String, SessionError> {
    if prompt.trim().is_empty() {
        return Err(SessionError::Invalid("a session needs a prompt".to_owned()));
    }
    if prompt.len() > MAX_PROMPT {
        return Err(SessionError::Invalid(format!("the prompt is over {} KiB", MAX_PROMPT / 1024)));
    }
    let mut text = prompt.trim().to_owned();
    let Some(context) = context else { return Ok(text) };
    if let Some(uri) = &context.uri {
        let _ = write!(text, "\n\nFile: {}", uri.rsplit('/').next().unwrap_or(uri));
    }
    if let Some(symbols) = symbols(context) {
        let _ = write!(text, "\nInside: {symbols}");
    }
    for message in diagnostics(context) {
        let _ = write!(text, "\nDiagnostic: {message}");
    }
    if let Some(selection) = context.text.as_deref().filter(|s| !s.trim().is_empty()) {
        let language = context.language.as_deref().unwrap_or("");
        let _ = write!(text, "\n\n```{language}\n{}\n```", cut(selection, MAX_SELECTION));
    }
    Ok(text)
}

/// `Greeter > greet (lines 3-9)`
fn symbols(context: &SessionContext) -> Option<String> {
    let list = context.symbols.as_ref()?.as_array()?;
    let named = list.iter().take(MAX_SYMBOLS).filter_map(|symbol| {
        let name = cut(symbol["name"].as_str()?, 200);
        let line = |end: &str| Some(symbol["range"][end]["line"].as_u64()? + 1);
        Some(match (line("start"), line("end")) {
            (Some(first), Some(last)) => format!("{name} (lines {first}-{last})"),
            _ => name.to_owned(),
        })
    });
    let path = named.collect::<Vec<_>>().join(" > ");
    (!path.is_empty()).then_some(path)
}

fn diagnostics(context: &SessionContext) -> Vec<String> {
    let list = context.diagnostics.as_ref().and_then(|d| d.as_array()).map_or(&[][..], Vec::as_slice);
    list.iter()
        .take(MAX_DIAGNOSTICS)
        .filter_map(|d| {
            let line = d["range"]["start"]["line"].as_u64()? + 1;
            Some(format!("line {line}: {}", cut(d["message"].as_str()?, 1000)))
        })
        .collect()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// First line, at most 80 characters.
pub(crate) fn title(prompt: &str) -> String {
    let line = prompt.trim().lines().next().unwrap_or("").trim();
    if line.chars().count() <= 80 {
        return line.to_owned();
    }
    let cut: String = line.chars().take(79).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_place_goes_along_with_the_words() {
        let context = SessionContext {
            uri: Some("file:///a/b/main.rs".into()),
            diagnostics: Some(json!([{ "message": "unused variable", "range": { "start": { "line": 4 } } }])),
            text: Some("let x = 1;".into()),
            language: Some("rust".into()),
            range: None,
            symbols: Some(json!([
                { "name": "Greeter", "kind": 5 },
                { "name": "greet", "kind": 6, "range": { "start": { "line": 2 }, "end": { "line": 8 } } },
            ])),
        };
        let text = compose("Fix this", Some(&context)).unwrap();
        let expected = "Fix this\n\nFile: main.rs\nInside: Greeter > greet (lines 3-9)\n\
             Diagnostic: line 5: unused variable\n\n```rust\nlet x = 1;\n```";
        assert_eq!(text, expected);
    }

    #[test]
    fn bounds_hold_at_character_boundaries() {
        assert!(compose("  \n", None).is_err());
        assert!(compose(&"x".repeat(MAX_PROMPT + 1), None).is_err());
        let context = SessionContext { text: Some("ä".repeat(MAX_SELECTION)), ..Default::default() };
        assert!(compose("p", Some(&context)).unwrap().len() < MAX_SELECTION + 100);
        assert_eq!(title(&"ä".repeat(100)).chars().count(), 80);
    }
}
