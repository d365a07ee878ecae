//! The JSON Schema of melody files, for editors that know no melodies.

use schemars::generate::SchemaSettings;

use crate::Melody;

/// Files to write, relative to the project's root, with their content.
#[must_use]
pub fn generate() -> Vec<(String, String)> {
    let schema =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<Melody>();
    let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    vec![("schemas/melody.json".to_owned(), text + "\n")]
}
