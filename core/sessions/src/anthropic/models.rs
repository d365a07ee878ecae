//! What is known of the models beside their prices: what they do not take.

/// Beginnings of the names of models that take no assistant prefix.
const WITHOUT_PREFIX: &[&str] = &["claude-opus-4-6", "claude-sonnet-4-6"];

/// Tokens that every model of today takes, question and answer together.
pub(super) const WINDOW: u64 = 200_000;

/// Names to choose from; any other is sent as it is.
pub(super) fn names() -> Vec<String> {
    let names = ["claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"];
    names.map(str::to_owned).to_vec()
}

/// Whether a conversation that ends with the assistant's own words is known to be refused.
pub(super) fn refuses_prefix(model: &str) -> bool {
    WITHOUT_PREFIX.iter().any(|name| model.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_models_take_no_prefix() {
        assert!(refuses_prefix("claude-opus-4-6") && !refuses_prefix("claude-opus-4-5-20251101"));
    }
}
