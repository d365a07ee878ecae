//! What models cost, by the table of the configuration. A price that is not there is not guessed.

use podium_config::Config;
use serde_json::Value;

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Price {
    input: f64,
    output: f64,
    /// Read from the cache, and written to it.
    cached: f64,
    cache_write: f64,
}

/// Tokens by what they are paid as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Beside those of the cache.
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) output: u64,
}

impl Counted {
    /// All that was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.input + self.cached + self.cache_write
    }
}

impl Price {
    /// `None` for a model that no row fits.
    pub(crate) fn of(config: &Config, model: &str) -> Option<Self> {
        let rows = config.tables_over_default("prices");
        rows.iter().find(|row| fits(row["model"].as_str().unwrap_or_default(), model)).and_then(Self::read)
    }

    fn read(row: &Value) -> Option<Self> {
        let input = row["input"].as_f64()?;
        let otherwise = |key: &str| row[key].as_f64().unwrap_or(input);
        Some(Self {
            input,
            output: row["output"].as_f64()?,
            cached: otherwise("cached"),
            cache_write: otherwise("cache_write"),
        })
    }

    /// US dollars.
    pub(crate) fn cost(&self, counted: &Counted) -> f64 {
        let of = |tokens: u64, price: f64| tokens as f64 * price;
        let input = of(counted.input, self.input)
            + of(counted.cached, self.cached)
            + of(counted.cache_write, self.cache_write);
        (input + of(counted.output, self.output)) / 1e6
    }
}

/// A star stands for any rest of a name; it may also stand elsewhere, once.
fn fits(pattern: &str, model: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == model,
        Some((head, tail)) => {
            model.len() >= head.len() + tail.len() && model.starts_with(head) && model.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_prices_are_known_and_others_are_not_guessed() {
        let config = Config::default();
        let output = |model: &str| Price::of(&config, model).map(|price| price.output);
        assert_eq!(output("claude-opus-4-5-20251101"), Some(25.0));
        assert_eq!(output("claude-opus-4-20250514"), Some(75.0));
        assert_eq!(output("claude-opus-9"), None);
        assert_eq!(output("gpt-5"), Some(10.0));
        assert_eq!(output("gpt-5-pro"), None);
        assert_eq!(output("SmolLM2"), None);
    }

    #[test]
    fn a_star_stands_for_any_rest() {
        for (pattern, model, expected) in [
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "b", false),
            ("*-mini", "x-mini", true),
            ("a*a", "a", false),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, model), expected, "{pattern} {model}");
        }
    }

    #[test]
    fn what_comes_from_the_cache_has_a_price_of_its_own() {
        let row = serde_json::json!({ "input": 1.0, "output": 10, "cached": 0.1 });
        let price = Price::read(&row).unwrap();
        let counted = Counted { input: 100, cached: 1_000, cache_write: 10, output: 50 };
        assert!((price.cost(&counted) - (100.0 + 100.0 + 10.0 + 500.0) / 1e6).abs() < 1e-12);
    }
}
