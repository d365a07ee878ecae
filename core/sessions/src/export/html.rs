//! One page of HTML that needs nothing else: no script, no font, no address is asked for.

use podium_protocol::{ItemKind, SessionInfo, SessionItem};

use super::Format;
use super::markdown::counts;

pub(super) struct Html;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6rem;border-radius:.4rem}\
.prompt{border-left:.25rem solid #48f;padding-left:.8rem}.thinking{opacity:.7}.error{color:#c22}\
.text,.thinking,.prompt{white-space:pre-wrap;overflow-wrap:anywhere}.note{text-align:center;font-style:italic}\
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}";

impl Format for Html {
    fn media_type(&self) -> &'static str {
        "text/html"
    }

    fn head(&self, session: &SessionInfo) -> String {
        let title = escaped(&session.title);
        let place =
            session.worktree.as_ref().map_or_else(String::new, |name| format!(" in {}", escaped(name)));
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>{}{place}, {}, begun {}</p>\n",
            escaped(&session.provider),
            session.status.as_str().replace('_', " "),
            escaped(&session.created_at),
        )
    }

    fn items(&self, before: Option<&SessionItem>, items: &[SessionItem]) -> String {
        let mut text = String::new();
        // A block that was open at the end of the piece before is open still.
        let mut open = before.filter(|item| runs(item.kind)).map(|item| item.kind);
        for item in items.iter().filter(|item| counts(item)) {
            if open.is_some_and(|kind| kind != item.kind) {
                text += "</div>\n";
                open = None;
            }
            if runs(item.kind) && open.is_none() {
                text += &format!("<div class=\"{}\">", item.kind.as_str());
                open = Some(item.kind);
            }
            text += &body(item);
        }
        text
    }

    fn tail(&self) -> String {
        // A block that is open here is closed by its parent's end.
        "</body></html>\n".to_owned()
    }
}

/// Comes in pieces.
fn runs(kind: ItemKind) -> bool {
    matches!(kind, ItemKind::Text | ItemKind::Thinking)
}

fn body(item: &SessionItem) -> String {
    let text = escaped(&item.text);
    match item.kind {
        ItemKind::Text | ItemKind::Thinking => text,
        ItemKind::Prompt => format!("<div class=\"prompt\">{text}</div>\n"),
        ItemKind::ToolCall => {
            let input = item.data.as_ref().map(|data| data["input"].to_string()).unwrap_or_default();
            format!("<details><summary>→ {text}</summary><pre>{}</pre></details>\n", escaped(&input))
        }
        ItemKind::ToolResult => format!("<details><summary>← result</summary><pre>{text}</pre></details>\n"),
        ItemKind::Error => format!("<p class=\"error\">{text}</p>\n"),
        _ => format!("<p class=\"note\">{text}</p>\n"),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_said_becomes_markup() {
        let item = SessionItem {
            seq: 1,
            kind: ItemKind::Text,
            text: "<script>alert(\"x\")</script> & more".into(),
            is_final: true,
            data: None,
            time: String::new(),
        };
        let page = Html.items(None, &[item]);
        assert_eq!(page, "<div class=\"text\">&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; more");
    }
}
