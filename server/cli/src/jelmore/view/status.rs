//! The line at the bottom: time, tokens, cost, and what happens now.

use indicatif::{ProgressBar, ProgressStyle};
use podium_protocol::Usage;

use crate::jelmore::render::cost;
use crate::output::Output;
use crate::progress;
use crate::style::one_line;

/// Characters that a token stands for, about.
const CHARACTERS: u64 = 4;

pub(super) struct StatusLine {
    bar: ProgressBar,
    used: Usage,
    /// Characters that came since the usage was told.
    characters: u64,
    doing: String,
}

impl StatusLine {
    pub(super) fn new(output: &Output) -> Self {
        let bar = progress::spinner(output, "");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, used: Usage::default(), characters: 0, doing: String::new() }
    }

    pub(super) fn wrote(&mut self, text: &str) {
        self.characters += u64::try_from(text.chars().count()).unwrap_or_default();
    }

    /// What the turn used, as the provider counts it.
    pub(super) fn used(&mut self, usage: Usage) {
        self.used = usage;
        self.characters = 0;
        self.show();
    }

    pub(super) fn doing(&mut self, what: &str) {
        self.doing = one_line(what);
        self.show();
    }

    /// Prints something above the line.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self) {
        self.bar.set_message(message(&self.used, self.characters, &self.doing));
    }
}

fn message(used: &Usage, characters: u64, doing: &str) -> String {
    let mut parts = Vec::new();
    let tokens = used.output_tokens + characters.div_ceil(CHARACTERS);
    if tokens > 0 {
        let about = if characters > 0 { "~" } else { "" };
        parts.push(format!("{about}{tokens} tokens"));
    }
    parts.extend(cost(used));
    if !doing.is_empty() {
        parts.push(doing.to_owned());
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_says_that_it_is_one() {
        let used = Usage { input_tokens: 9, output_tokens: 20, cost_usd: Some(0.0123) };
        assert_eq!(message(&used, 0, "writing"), "20 tokens · $0.0123 · writing");
        assert_eq!(message(&Usage::default(), 5, ""), "~2 tokens");
        let unknown = Usage { cost_usd: None, ..used };
        assert_eq!(message(&unknown, 0, ""), "20 tokens · cost unknown");
        assert_eq!(message(&Usage::default(), 0, ""), "");
    }
}
