//! The types whose data has a known shape, and the check against its JSON Schema.

use std::sync::OnceLock;

use boon::{Compiler, ErrorKind, SchemaIndex, Schemas, ValidationError};
use podium_protocol::{EventPublisher, EventType, TaskAssignment, TaskOutcome};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::BrokerError;
use crate::names::{ASSIGNED, COMPLETED, FAILED, Judged, judge};

/// Problems that one answer tells of.
const MOST_PROBLEMS: usize = 8;

/// A type that others may publish and whose data is known.
struct Known {
    name: &'static str,
    about: &'static str,
    schema: Value,
    /// Compiled; `None` where that failed.
    compiled: Option<(Schemas, SchemaIndex)>,
}

fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        vec![
            Known::of::<TaskAssignment>(ASSIGNED, "puts a task into its queue, once for each id"),
            Known::of::<TaskOutcome>(COMPLETED, "ends a task that nobody works on: somebody else did it"),
            Known::of::<TaskOutcome>(FAILED, "ends a task that nobody works on: it is not to be done"),
        ]
    })
}

impl Known {
    fn of<T: JsonSchema>(name: &'static str, about: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12().for_deserialize().with(|s| s.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        let compiled = compile(name, &schema);
        Self { name, about, schema, compiled }
    }
}

fn compile(name: &str, schema: &Value) -> Option<(Schemas, SchemaIndex)> {
    // Only a name: nothing is loaded from anywhere.
    let place = format!("podium:///{name}.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource(&place, schema.clone()).ok()?;
    let index = compiler.compile(&place, &mut schemas).ok()?;
    Some((schemas, index))
}

/// Checks the data of an event against the schema of its type, where it has one.
///
/// # Errors
/// [`BrokerError::Data`] with each place that is wrong.
pub(crate) fn check(kind: &str, data: &Value) -> Result<(), BrokerError> {
    let wrong = |problems| BrokerError::Data { kind: kind.to_owned(), problems };
    if !data.is_object() {
        return Err(wrong(vec!["it is no object".to_owned()]));
    }
    let Some(known) = known().iter().find(|known| known.name == kind) else { return Ok(()) };
    let Some((schemas, index)) = &known.compiled else {
        return Err(wrong(vec!["its schema cannot be read".to_owned()]));
    };
    let Err(error) = schemas.validate(data, *index) else { return Ok(()) };
    let mut problems = Vec::new();
    collect(&error, &mut problems);
    Err(wrong(problems))
}

/// The leaves of the tree: what stands above only says that something below is wrong.
fn collect(error: &ValidationError<'_, '_>, problems: &mut Vec<String>) {
    if problems.len() == MOST_PROBLEMS {
        return;
    }
    if !error.causes.is_empty() {
        return error.causes.iter().for_each(|cause| collect(cause, problems));
    }
    // The value itself stays out: it may be long, or a secret.
    let text = match &error.kind {
        ErrorKind::Pattern { want, .. } => format!("does not match {want}"),
        kind => kind.to_string(),
    };
    let place = error.instance_location.to_string();
    problems.push(match place.trim_start_matches('/') {
        "" => text,
        place => format!("{}: {text}", place.replace('/', ".")),
    });
}

/// Known types and those that the log has (name, how many, newest place), by name.
#[must_use]
pub fn types(counted: Vec<(String, u64, u64)>) -> Vec<EventType> {
    let mut types: Vec<EventType> = known().iter().map(describe).collect();
    for (name, count, last_seq) in counted {
        match types.iter_mut().find(|known| known.kind == name) {
            Some(known) => (known.count, known.last_seq) = (count, Some(last_seq)),
            None => types.push(EventType {
                publisher: publisher(&name),
                kind: name,
                about: None,
                schema: None,
                count,
                last_seq: Some(last_seq),
            }),
        }
    }
    types.sort_by(|a, b| a.kind.cmp(&b.kind));
    types
}

fn describe(known: &Known) -> EventType {
    EventType {
        kind: known.name.to_owned(),
        publisher: publisher(known.name),
        about: Some(known.about.to_owned()),
        schema: Some(known.schema.clone()),
        count: 0,
        last_seq: None,
    }
}

fn publisher(name: &str) -> EventPublisher {
    match judge(name) {
        Ok(Judged::Custom) => EventPublisher::Anyone,
        Ok(Judged::OfTasks) => EventPublisher::Person,
        Ok(Judged::Reserved) | Err(_) => EventPublisher::Daemon,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(kind: &str, data: &Value) -> String {
        check(kind, data).unwrap_err().to_string()
    }

    #[test]
    fn each_known_type_has_a_schema_that_can_be_checked() {
        for known in known() {
            assert!(known.compiled.is_some(), "{}", known.name);
            assert!(known.schema["properties"]["id"].is_object(), "{:#}", known.schema);
        }
    }

    #[test]
    fn a_task_needs_an_id_and_a_text_and_may_have_fields_that_nobody_knows() {
        check(ASSIGNED, &json!({"id": "t-1", "task": "Write", "priority": 3})).unwrap();
        let text = problems(ASSIGNED, &json!({"id": "", "repo": 7}));
        assert!(text.contains("task") && text.contains("id:") && text.contains("repo:"), "{text}");
        assert!(check(COMPLETED, &json!({})).is_err(), "an outcome names its task");
    }

    #[test]
    fn a_problem_does_not_repeat_the_value() {
        let text = problems(ASSIGNED, &json!({"id": "t", "task": "x", "queue": "sk ant secret"}));
        assert!(text.contains("queue:") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn data_of_any_type_is_an_object() {
        for data in [json!(null), json!([1]), json!("x")] {
            assert!(check("deploy.finished", &data).is_err());
        }
        check("deploy.finished", &json!({})).unwrap();
    }
}
