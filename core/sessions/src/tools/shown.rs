//! How much of a result a model is shown.

use podium_secrets::Redactor;
use serde_json::Value;

/// Longest text of a result's data, in bytes.
const LONGEST_DATA: usize = 256 * 1024;

/// The beginning and the end of a long text, and all of it for whoever keeps it.
pub(super) fn bound(text: String, most: usize) -> (String, Option<Vec<u8>>) {
    if text.len() <= most {
        return (text, None);
    }
    // What a command says last is often what matters; most of the room goes to the beginning.
    let head = line_end(&text, text.floor_char_boundary(most / 4 * 3));
    let tail = line_start(&text, text.ceil_char_boundary(text.len() - most / 4));
    let left_out = tail - head;
    let shown = format!("{}\n[... {left_out} bytes left out ...]\n{}", &text[..head], &text[tail..]);
    (shown, Some(text.into_bytes()))
}

/// Redacts every text of the data and cuts what is too long for it.
pub(crate) fn redact_data(redactor: &Redactor, data: Value) -> Value {
    match data {
        Value::String(text) => {
            let mut text = redactor.redact(&text);
            if text.len() > LONGEST_DATA {
                text.truncate(text.floor_char_boundary(LONGEST_DATA));
                text.push_str("\n[cut]\n");
            }
            Value::String(text)
        }
        Value::Array(items) => items.into_iter().map(|item| redact_data(redactor, item)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, value)| (name, redact_data(redactor, value))).collect()
        }
        other => other,
    }
}

/// The end of the last whole line before `at`, unless that line is very long.
fn line_end(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').filter(|end| at - end < 2_000).unwrap_or(at)
}

fn line_start(text: &str, at: usize) -> usize {
    text[at..].find('\n').filter(|skip| *skip < 2_000).map_or(at, |skip| at + skip + 1)
}

#[cfg(test)]
mod tests {
    use super::bound;

    #[test]
    fn a_long_text_shows_its_beginning_and_end_and_is_kept_whole() {
        let text: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let (shown, whole) = bound(text.clone(), 4_096);
        assert!(shown.len() < 4_200, "{}", shown.len());
        assert!(shown.starts_with("line 0\n") && shown.ends_with("line 9999\n"));
        assert!(shown.contains("bytes left out"));
        assert_eq!(whole, Some(text.into_bytes()));
        assert_eq!(bound("short".to_owned(), 10), ("short".to_owned(), None));
    }

    #[test]
    fn a_text_without_lines_is_cut_between_characters() {
        let (shown, _) = bound("ü".repeat(10_000), 1_001);
        assert!(shown.len() < 1_100 && shown.starts_with("üü") && shown.ends_with("üü"));
    }
}
