//! Faults of a melody as the editor shows them.

use podium_melody::Severity;
use tower_lsp::ls_types::{Diagnostic, DiagnosticSeverity, NumberOrString};

use super::Reading;
use crate::position::Encoding;

/// More than an editor shows well.
const MOST: usize = 500;

pub(crate) fn diagnostics(reading: &Reading, encoding: Encoding) -> Vec<Diagnostic> {
    let diagnostic = |found: &podium_melody::Diagnostic| Diagnostic {
        range: reading.document.range_of(&found.span, encoding),
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(found.code.to_string())),
        source: Some("podium".to_owned()),
        message: match &found.hint {
            Some(hint) => format!("{}\n{hint}", found.message),
            None => found.message.clone(),
        },
        ..Default::default()
    };
    reading.read.diagnostics.iter().take(MOST).map(diagnostic).collect()
}
