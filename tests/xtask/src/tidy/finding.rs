//! What a rule found, as a person reads it.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Severity {
    Warning,
    /// Sorted last, where the eye falls after a long run.
    Error,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) rule: &'static str,
    /// Relative to the checkout, with `/`.
    pub(super) path: String,
    /// From 1.
    pub(super) line: usize,
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: String,
}

impl Finding {
    pub(super) fn error(
        rule: &'static str,
        (path, line): (&str, usize),
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { severity: Severity::Error, rule, path: path.to_owned(), line, message, help }
    }

    pub(super) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}[{}] {}:{}: {}", self.rule, self.path, self.line, self.message)?;
        write!(f, "\n  help: {}", self.help)
    }
}

/// Where findings lie, for short assertions.
#[cfg(test)]
pub(super) fn places(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_rule_place_and_what_to_do() {
        let finding = Finding::error("names", ("core/git/src/utils.rs", 1), "says nothing", "name it");
        let text = "error[names] core/git/src/utils.rs:1: says nothing\n  help: name it";
        assert_eq!(finding.to_string(), text);
        assert!(finding.warning().to_string().starts_with("warning[names]"));
    }
}
