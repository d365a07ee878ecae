//! What is generated from the method table: JSON Schema, TypeScript types and the method documentation.
//! `cargo xtask codegen` writes the files, `--check` compares them.

mod markdown;
mod typescript;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::*;

/// The notifications a daemon or language server sends, with their types.
fn notifications(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            notify::EVENT,
            "An event of the log, for a subscription of `events/subscribe`.",
            generator.subschema_for::<EventNotification>().to_value(),
        ),
        (
            notify::SESSION_UPDATE,
            "Items, progress or the end of a session, for a subscription of `session/attach`. Items are stored \
             before they are sent.",
            generator.subschema_for::<SessionUpdate>().to_value(),
        ),
        (
            notify::PIT_UPDATE,
            "States of nodes or of the run itself, for a subscription of `pit/attach`. They are stored before they are \
             sent.",
            generator.subschema_for::<PitUpdate>().to_value(),
        ),
        (notify::PROGRESS, "How far a long request is.", generator.subschema_for::<Progress>().to_value()),
        (
            notify::TASK_END,
            "A subscription of `task/listen` ended by itself. IPC only.",
            generator.subschema_for::<TaskListenEnded>().to_value(),
        ),
        (
            notify::DAEMON_STOPPING,
            "The daemon is about to close the connection.",
            generator.subschema_for::<DaemonStopping>().to_value(),
        ),
        (
            "status",
            "What the status line of a window shows. Sent by the language server only, whenever it changes.",
            generator.subschema_for::<StatusLine>().to_value(),
        ),
    ]
}

/// The whole protocol as one JSON document: methods, notifications, and JSON Schema definitions of their types.
#[must_use]
pub fn json_schema() -> Value {
    // What a client writes may leave out defaults; what it reads always has all fields.
    let mut written = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut read = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut methods = Map::new();
    for method in METHODS {
        methods.insert(
            method.name.to_owned(),
            json!({
                "description": method.doc.trim(),
                "access": if method.access == Access::Person { "person" } else { "anyone" },
                "command": (method.exposure == Exposure::Command).then(|| method.command()),
                "overLsp": method.exposure != Exposure::Internal,
                "params": (method.params)(&mut written).to_value(),
                "answer": (method.answer)(&mut read).to_value(),
            }),
        );
    }
    let notified: Map<String, Value> = notifications(&mut read)
        .into_iter()
        .map(|(name, doc, schema)| (name.to_owned(), json!({ "description": doc, "params": schema })))
        .collect();
    let error = read.subschema_for::<WireError>().to_value();
    let mut definitions = written.take_definitions(true);
    definitions.extend(read.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Podium protocol",
        "version": PROTOCOL_VERSION,
        "methods": methods,
        "notifications": notified,
        "error": error,
        "$defs": definitions,
    })
}

/// Files to write, relative to the project's root, with their content.
#[must_use]
pub fn generate() -> Vec<(String, String)> {
    let schema = json_schema();
    let types = typescript::types(&schema);
    let json = serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n";
    vec![
        ("schemas/protocol.json".to_owned(), json),
        ("schemas/protocol.ts".to_owned(), types.clone()),
        ("schemas/protocol.md".to_owned(), markdown::document(&schema)),
        ("editors/vscode/src/protocol.ts".to_owned(), types),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_in_schema_types_and_documentation() {
        let files = generate();
        for method in METHODS {
            assert!(files[0].1.contains(&format!("\"{}\"", method.name)), "{} in JSON", method.name);
            if method.exposure != Exposure::Internal {
                assert!(
                    files[1].1.contains(&format!("\"podium/{}\"", method.name)),
                    "{} in types",
                    method.name
                );
                assert!(files[2].1.contains(&format!("`podium/{}`", method.name)), "{} in docs", method.name);
            }
        }
    }

    #[test]
    fn a_claim_has_the_fields_that_others_rely_on() {
        let types = typescript::types(&json_schema());
        let at = types.find("export interface ClaimInfo {").unwrap();
        let body = &types[at..at + types[at..].find("\n}").unwrap()];
        for field in ["agentId: string;", "pid: number | null;", "token: number;", "alive: Alive;"] {
            assert!(body.contains(field), "{field} in {body}");
        }
    }
}
