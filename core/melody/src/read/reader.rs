//! Takes values out of a tree and notes what is wrong with them.

use crate::catalogue::nearest;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::tree::{Data, Entry, Tree};
use crate::{LineIndex, Span};

/// A diagnostic on its way.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) code: Code,
    severity: Severity,
    message: String,
    hint: Option<String>,
    node: Option<String>,
    path: Vec<String>,
    span: Span,
}

impl Finding {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// A hint at the name that was probably meant.
    pub(crate) fn meant(&mut self, name: Option<&str>) -> &mut Self {
        if let Some(name) = name {
            self.hint = Some(format!("did you mean `{name}`?"));
        }
        self
    }

    pub(crate) fn node(&mut self, node: &str) -> &mut Self {
        self.node = (!node.is_empty()).then(|| node.to_owned());
        self
    }

    pub(crate) fn warning(&mut self) -> &mut Self {
        self.severity = Severity::Warning;
        self
    }

    pub(crate) fn path(&mut self, path: Vec<String>) -> &mut Self {
        self.path = path;
        self
    }
}

/// What reads a text: its findings so far.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    pub(crate) source: &'s str,
    pub(crate) findings: Vec<Finding>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self { source, findings: Vec::new() }
    }

    pub(crate) fn error(&mut self, code: Code, span: Span, message: String) -> &mut Finding {
        let finding = Finding {
            code,
            severity: Severity::Error,
            message,
            hint: None,
            node: None,
            path: Vec::new(),
            span,
        };
        self.findings.push(finding);
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    pub(crate) fn diagnostics(mut self, most: usize) -> Vec<Diagnostic> {
        self.findings.sort_by_key(|finding| finding.span.start);
        let beyond = self.findings.len().saturating_sub(most);
        self.findings.truncate(most);
        if beyond > 0 {
            self.error(Code::ResourceExceeded, 0..0, format!("and {beyond} further faults"));
        }
        let lines = LineIndex::new(self.source);
        let diagnostic = |finding: Finding| Diagnostic {
            range: lines.range(&finding.span),
            code: finding.code,
            severity: finding.severity,
            message: finding.message,
            hint: finding.hint,
            node: finding.node,
            path: finding.path,
            span: finding.span,
        };
        self.findings.into_iter().map(diagnostic).collect()
    }

    /// Names every key that is not one of these.
    pub(crate) fn only(&mut self, tree: &Tree<'_>, known: &[&str], of: &str, node: Option<&str>) {
        for entry in tree.entries().unwrap_or_default() {
            if !known.contains(&entry.name.as_ref()) {
                let message = format!("{of} has no `{}`", entry.name);
                let near = nearest(&entry.name, known.iter().copied());
                let finding = self.error(Code::UnknownField, entry.key.clone(), message);
                finding
                    .hint(format!("it has {}", known.join(", ")))
                    .meant(near)
                    .node(node.unwrap_or_default());
            }
        }
    }

    pub(crate) fn wrong(&mut self, entry: &Entry<'_>, expected: &str, node: Option<&str>) {
        let message = format!("`{}` is {expected}, not {}", entry.name, entry.value.what());
        let finding = self.error(Code::InvalidField, entry.value.head.clone(), message);
        finding.node(node.unwrap_or_default());
    }

    /// An optional text.
    pub(crate) fn text(&mut self, tree: &Tree<'_>, name: &str, node: Option<&str>) -> Option<String> {
        let entry = tree.get(name)?;
        match entry.value.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong(entry, "a text", node);
                None
            }
        }
    }

    /// An optional text that is read further.
    pub(crate) fn parsed<T: std::str::FromStr<Err: ToString>>(
        &mut self,
        tree: &Tree<'_>,
        name: &str,
        code: Code,
        node: Option<&str>,
    ) -> Option<T> {
        let text = self.text(tree, name, node)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let span = tree.get(name).map_or(0..0, |entry| entry.value.span.clone());
                self.error(code, span, error.to_string()).node(node.unwrap_or_default());
                None
            }
        }
    }

    /// An optional number, at least 0.
    pub(crate) fn number(&mut self, tree: &Tree<'_>, name: &str, node: Option<&str>) -> Option<f64> {
        let entry = tree.get(name)?;
        let number = match entry.value.data {
            #[expect(clippy::cast_precision_loss, reason = "nobody means more than 2^53")]
            Data::Integer(number) => number as f64,
            Data::Number(number) => number,
            _ => f64::NAN,
        };
        if number.is_finite() && number >= 0.0 {
            return Some(number);
        }
        self.wrong(entry, "a number from 0", node);
        None
    }

    /// An optional whole number, at least 0.
    pub(crate) fn count(
        &mut self,
        tree: &Tree<'_>,
        name: &str,
        most: u64,
        node: Option<&str>,
    ) -> Option<u64> {
        let entry = tree.get(name)?;
        let count =
            if let Data::Integer(number) = entry.value.data { u64::try_from(number).ok() } else { None };
        if let Some(count) = count.filter(|count| *count <= most) {
            return Some(count);
        }
        let expected = if most == u64::MAX {
            "a whole number from 0".into()
        } else {
            format!("a whole number from 0 to {most}")
        };
        self.wrong_value(entry, &expected, node);
        None
    }

    /// A value of the right type that is out of its range.
    pub(crate) fn wrong_value(&mut self, entry: &Entry<'_>, expected: &str, node: Option<&str>) {
        let message = format!("`{}` is {expected}", entry.name);
        self.error(Code::InvalidField, entry.value.head.clone(), message).node(node.unwrap_or_default());
    }

    /// A name that has to be there; empty where it is not.
    pub(crate) fn required_name(&mut self, tree: &Tree<'_>, name: &str, of: &str) -> String {
        let Some(entry) = tree.get(name) else {
            self.error(Code::MissingField, tree.head.clone(), format!("{of} needs `{name}`"));
            return String::new();
        };
        let Some(text) = entry.value.text() else {
            self.wrong(entry, "a text", None);
            return String::new();
        };
        if !is_name(text) {
            let message = format!("`{}` cannot be an id", text.chars().take(80).collect::<String>());
            let finding = self.error(Code::InvalidField, entry.value.span.clone(), message);
            finding.hint("1 to 128 letters, digits, `_` and `-`");
        }
        text.to_owned()
    }
}

/// Whether a text can be the id of a node or the name of a port.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !text.is_empty() && text.len() <= 128 && text.chars().all(fits)
}
