//! Prices of models that are shipped: list prices, in US dollars for a million tokens.

use serde_json::{Value, json};

/// A model, or with a star those whose names begin so: input, output, read from the cache, written to it.
type Row = (&'static str, f64, f64, f64, f64);

/// Names are those of models whose prices are published: what comes later is unknown until it is added.
const SHIPPED: &[Row] = &[
    ("claude-opus-4-6*", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4-5*", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4-1*", 15.0, 75.0, 1.5, 18.75),
    ("claude-opus-4-0*", 15.0, 75.0, 1.5, 18.75),
    ("claude-opus-4-2025*", 15.0, 75.0, 1.5, 18.75),
    ("claude-sonnet-4-6*", 3.0, 15.0, 0.3, 3.75),
    ("claude-sonnet-4-5*", 3.0, 15.0, 0.3, 3.75),
    ("claude-sonnet-4-0*", 3.0, 15.0, 0.3, 3.75),
    ("claude-sonnet-4-2025*", 3.0, 15.0, 0.3, 3.75),
    ("claude-haiku-4-5*", 1.0, 5.0, 0.1, 1.25),
    ("claude-3-7-sonnet*", 3.0, 15.0, 0.3, 3.75),
    ("claude-3-5-haiku*", 0.8, 4.0, 0.08, 1.0),
    ("gpt-5", 1.25, 10.0, 0.125, 1.25),
    ("gpt-5-2025*", 1.25, 10.0, 0.125, 1.25),
    ("gpt-5-mini*", 0.25, 2.0, 0.025, 0.25),
    ("gpt-5-nano*", 0.05, 0.4, 0.005, 0.05),
    ("gpt-4.1-mini*", 0.4, 1.6, 0.1, 0.4),
    ("gpt-4.1-nano*", 0.1, 0.4, 0.025, 0.1),
    ("gpt-4.1", 2.0, 8.0, 0.5, 2.0),
    ("gpt-4.1-2025*", 2.0, 8.0, 0.5, 2.0),
    ("gpt-4o-mini", 0.15, 0.6, 0.075, 0.15),
    ("gpt-4o-mini-2024*", 0.15, 0.6, 0.075, 0.15),
    ("gpt-4o", 2.5, 10.0, 1.25, 2.5),
    ("gpt-4o-2024-08-06", 2.5, 10.0, 1.25, 2.5),
    ("gpt-4o-2024-11-20", 2.5, 10.0, 1.25, 2.5),
];

/// As tables of the setting `prices`.
pub(crate) fn shipped() -> Value {
    let table = |(model, input, output, cached, cache_write): &Row| json!({ "model": model, "input": input, "output": output, "cached": cached, "cache_write": cache_write });
    Value::Array(SHIPPED.iter().map(table).collect())
}
