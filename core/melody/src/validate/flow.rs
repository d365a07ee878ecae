//! Every input that needs a value gets one, and nothing stands apart.

use std::collections::HashSet;

use super::Subject;
use crate::diagnostic::Code;
use crate::read::Reader;
use crate::{NodeKind, template};

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    for (index, node) in subject.nodes() {
        let ports = subject.catalogue.ports(subject.melody, node);
        if ports.is_unknown() {
            continue;
        }
        for name in ports.input_names() {
            let Some(feed) = ports.input(name) else { continue };
            if feed.required && !subject.is_fed(index, name) {
                let message =
                    format!("`{}.{name}` needs a value ({}) and gets none", node.id, feed.port_type);
                let place = subject.places.nodes[index].id.clone();
                let finding = reader.error(Code::MissingRequiredInput, place, message);
                let param = ports.signature().is_some_and(|signature| signature.param(name).is_some());
                let hint = format!("add an edge to `{}.{name}`", node.id);
                finding
                    .hint(if param { format!("{hint}, or the param `{name}`") } else { hint })
                    .node(&node.id);
            }
        }
    }
    check_orphans(reader, subject);
    check_inputs(reader, subject);
}

/// Nodes that no edge touches, in a melody of several. They run; mostly an edge was forgotten.
fn check_orphans(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    if subject.structure.len() < 2 {
        return;
    }
    // An edge to nowhere is a fault of its own, and its author had one in mind.
    let read = subject.melody.outputs.values().filter_map(|output| Some(output.from.as_ref()?.node.as_str()));
    let edges = subject.melody.edges.iter();
    let joined: HashSet<&str> =
        edges.flat_map(|edge| [edge.from.node.as_str(), edge.to.node.as_str()]).chain(read).collect();
    for (index, node) in subject.nodes() {
        let structure = &subject.structure;
        let joined = joined.contains(node.id.as_str())
            || structure.stands_for.contains_key(&index)
            || structure.by_id.get(node.id.as_str()) != Some(&index);
        if !joined {
            let place = subject.places.nodes[index].id.clone();
            let finding = reader.error(Code::OrphanNode, place, format!("no edge touches `{}`", node.id));
            finding.warning().hint("it runs by itself; join it by an edge, or take it away").node(&node.id);
        }
    }
}

/// Inputs of the melody that nothing reads.
fn check_inputs(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    if subject.melody.inputs.is_empty() {
        return;
    }
    let mut used: HashSet<String> = HashSet::new();
    for (_, node) in subject.nodes() {
        if node.kind == NodeKind::Input {
            used.insert(node.stands_for().to_owned());
        }
        node.params.values().for_each(|value| collect(value, &mut used, 0));
    }
    for field in subject.places.inputs.iter().filter(|field| !used.contains(&*field.name)) {
        let message = format!("nothing uses the input `{}`", field.name);
        let finding = reader.error(Code::DisconnectedInput, field.key.clone(), message);
        finding.warning().hint(format!("write `{{{{{}}}}}` in a param, or take it away", field.name));
    }
}

fn collect(value: &serde_json::Value, used: &mut HashSet<String>, depth: usize) {
    use serde_json::Value::{Array, Object, String};
    if depth > 64 {
        return;
    }
    match value {
        String(text) => {
            let slots = template::slots(text).unwrap_or_default();
            used.extend(slots.into_iter().map(|slot| slot.name.to_owned()));
        }
        Array(items) => items.iter().for_each(|item| collect(item, used, depth + 1)),
        Object(fields) => fields.values().for_each(|field| collect(field, used, depth + 1)),
        _ => {}
    }
}
