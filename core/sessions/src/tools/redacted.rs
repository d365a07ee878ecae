//! Placeholders for secrets: what a model is shown in place of a value must not be written over the value.

use std::collections::BTreeSet;

use podium_secrets::Redactor;

use super::ToolError;

const BEGIN: &str = "[redacted:";

/// Refuses a text that has placeholders where the file has the secrets themselves.
pub(super) fn refuse_placeholders(redactor: &Redactor, before: &str, after: &str) -> Result<(), ToolError> {
    if !after.contains(BEGIN) {
        return Ok(());
    }
    let shown = redactor.redact(before);
    let (kept, shown, new) = (placeholders(before), placeholders(&shown), placeholders(after));
    let lost = new.iter().find(|name| shown.contains(*name) && !kept.contains(*name));
    lost.map_or(Ok(()), |name| {
        Err(ToolError::Conflict(format!(
            "`{name}` stands for a value that is not shown, and would overwrite it: change only the pieces around it, \
             by `edit_file`"
        )))
    })
}

fn placeholders(text: &str) -> BTreeSet<&str> {
    let begins = text.match_indices(BEGIN).map(|(at, _)| &text[at..]);
    begins.filter_map(|rest| rest.find(']').map(|end| &rest[..=end])).collect()
}

#[cfg(test)]
mod tests {
    use podium_secrets::{KnownSecrets, Redactor};

    use super::refuse_placeholders;

    #[test]
    fn a_placeholder_never_takes_the_place_of_its_secret() {
        let mut known = KnownSecrets::new();
        known.add("KEY", "s3cr3t-value-1");
        let redactor = Redactor::new(&known);
        let before = "key = s3cr3t-value-1\nport = 1\n";
        assert!(refuse_placeholders(&redactor, before, "key = [redacted:KEY]\nport = 2\n").is_err());
        assert!(refuse_placeholders(&redactor, before, "key = s3cr3t-value-1\nport = 2\n").is_ok());
        let documented = "shows [redacted:KEY]\n";
        assert!(refuse_placeholders(&redactor, documented, "shows [redacted:KEY] and more\n").is_ok());
    }
}
