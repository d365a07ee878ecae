//! What is known of the models: their prices, and what they do not take.

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prices {
    pub(super) input: f64,
    pub(super) output: f64,
}

impl Prices {
    /// Writing to the cache costs a quarter more than reading input, reading from it a tenth.
    pub(super) const CACHE_WRITE: f64 = 1.25;
    pub(super) const CACHE_READ: f64 = 0.1;
}

struct Family {
    /// Beginning of the models' names.
    name: &'static str,
    prices: Prices,
    takes_prefix: bool,
}

const fn family(name: &'static str, input: f64, output: f64, takes_prefix: bool) -> Family {
    Family { name, prices: Prices { input, output }, takes_prefix }
}

/// Longer names before the shorter ones that they begin with.
const FAMILIES: &[Family] = &[
    family("claude-opus-4-6", 5.0, 25.0, false),
    family("claude-opus-4-5", 5.0, 25.0, true),
    family("claude-opus-4", 15.0, 75.0, true),
    family("claude-sonnet-4-6", 3.0, 15.0, false),
    family("claude-sonnet-4", 3.0, 15.0, true),
    family("claude-haiku-4-5", 1.0, 5.0, true),
    family("claude-3-7-sonnet", 3.0, 15.0, true),
    family("claude-3-5-haiku", 0.8, 4.0, true),
];
/// Of a model that is not known: the dearest, so that a budget in money holds.
const UNKNOWN: Prices = Prices { input: 15.0, output: 75.0 };

/// Tokens that every model of today takes, question and answer together.
pub(super) const WINDOW: u64 = 200_000;

/// Names to choose from; any other is sent as it is.
pub(super) fn names() -> Vec<String> {
    let names = ["claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"];
    names.map(str::to_owned).to_vec()
}

fn family_of(model: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| model.starts_with(family.name))
}

pub(super) fn prices(model: &str) -> Prices {
    family_of(model).map_or(UNKNOWN, |family| family.prices)
}

/// Whether a conversation that ends with the assistant's own words is known to be refused.
pub(super) fn refuses_prefix(model: &str) -> bool {
    family_of(model).is_some_and(|family| !family.takes_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_decides() {
        assert_eq!(prices("claude-opus-4-5-20251101").output, 25.0);
        assert_eq!(prices("claude-opus-4-20250514").output, 75.0);
        assert_eq!(prices("something-new"), UNKNOWN);
        assert!(refuses_prefix("claude-opus-4-6") && !refuses_prefix("claude-opus-4-5"));
    }
}
