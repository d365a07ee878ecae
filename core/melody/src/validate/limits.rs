//! The nodes fit into what the melody allows.

use super::Subject;
use crate::diagnostic::Code;
use crate::read::{NodePlaces, Reader};
use crate::{Limits, Node, Span};

pub(super) fn check(reader: &mut Reader<'_>, subject: &Subject<'_>) {
    let whole = &subject.melody.limits;
    let (mut tokens, mut cost) = (0_u64, 0.0_f64);
    for (index, node) in subject.nodes() {
        check_node(reader, whole, node, &subject.places.nodes[index]);
        tokens = tokens.saturating_add(node.limits.tokens.unwrap_or_default());
        cost += node.limits.cost_usd.unwrap_or_default();
    }
    let place = subject.places.root.iter().find(|field| &*field.name == "limits");
    let place = place.map_or(0..0, |field| field.key.clone());
    if whole.tokens.is_some_and(|most| tokens > most) {
        let most = whole.tokens.unwrap_or_default();
        let message = format!("the nodes may use {tokens} tokens together, the melody {most}");
        reader.error(Code::ResourceExceeded, place.clone(), message);
    }
    if whole.cost_usd.is_some_and(|most| cost > most + 1e-9) {
        let most = whole.cost_usd.unwrap_or_default();
        let message = format!("the nodes may cost {cost:.2} USD together, the melody {most:.2}");
        reader.error(Code::ResourceExceeded, place, message);
    }
}

fn check_node(reader: &mut Reader<'_>, whole: &Limits, node: &Node, places: &NodePlaces) {
    let place = places.field("limits").map_or_else(|| places.id.clone(), |field| field.value.clone());
    let mut exceeded = |place: Span, message: String| {
        reader.error(Code::ResourceExceeded, place, message).node(&node.id);
    };
    if let (Some(asked), Some(most)) = (node.limits.memory, whole.memory)
        && asked > most
    {
        exceeded(place.clone(), format!("`{}` may use {asked} of memory, the melody {most}", node.id));
    }
    if let (Some(asked), Some(most)) = (node.limits.cpu, whole.cpu)
        && asked > most
    {
        exceeded(place.clone(), format!("`{}` may use {asked} processors, the melody {most}", node.id));
    }
    if let (Some(paths), Some(allowed)) = (&node.limits.writes, &whole.writes) {
        for path in paths.iter().filter(|path| !allowed.iter().any(|folder| is_within(path, folder))) {
            exceeded(place.clone(), format!("`{}` may write `{path}`, the melody may not", node.id));
        }
    }
    let answer = node.params.get("max_tokens").and_then(serde_json::Value::as_u64);
    if let (Some(asked), Some(most)) = (answer, node.limits.tokens)
        && asked > most
    {
        let place = places.param("max_tokens").map_or(place, |field| field.value.clone());
        exceeded(
            place,
            format!("an answer of {asked} tokens does not fit into the {most} that `{}` may use", node.id),
        );
    }
}

/// Whether a path is a folder or below it.
fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    folder == "." || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
