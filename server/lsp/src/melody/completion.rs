//! What can be written where the cursor is.

use podium_melody::catalogue::{Form, Param, Signature};
use podium_melody::{ARTIFACT_KINDS, Format, Melody, NodeKind, TYPE_NAMES, kind_name};
use tower_lsp::ls_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, InsertTextFormat, Position,
    TextEdit,
};

use super::context::{Context, text_of};
use super::describe::{of_param, of_signature};
use super::{CATALOGUE, Reading};
use crate::position::Encoding;

const KINDS: [NodeKind; 5] =
    [NodeKind::Instrument, NodeKind::Operator, NodeKind::Control, NodeKind::Input, NodeKind::Output];

/// A choice before it is placed.
struct Choice {
    label: String,
    detail: String,
    documentation: String,
    kind: CompletionItemKind,
    /// What is inserted, if that is not the label.
    insert: Option<String>,
}

pub(crate) fn completions(
    reading: &Reading,
    position: Position,
    encoding: Encoding,
    snippets: bool,
) -> Vec<CompletionItem> {
    let text = &reading.document.text;
    let offset = reading.document.offset_of(position, encoding);
    let mut context = Context::at(text, offset, reading.format);
    let found = match context.key.clone() {
        Some(key) => values(reading, &mut context, &key, text, offset),
        None => keys(reading, &context, text, snippets),
    };
    let is_key = context.key.is_none();
    let range = reading.document.range_of(&(context.start..offset), encoding);
    let item = |choice: Choice| {
        let is_snippet = choice.insert.as_ref().is_some_and(|insert| insert.contains("$0"));
        let plain = choice.insert.clone().unwrap_or_else(|| choice.label.clone());
        let insert = match (is_key, context.quoted, reading.format) {
            _ if choice.insert.is_some() => plain,
            (true, false, Format::Toml) => format!("{plain} = "),
            (true, false, Format::Json) => format!("\"{plain}\": "),
            (false, false, _) if choice.kind != CompletionItemKind::CONSTANT => format!("\"{plain}\""),
            _ => plain,
        };
        CompletionItem {
            label: choice.label.clone(),
            kind: Some(choice.kind),
            detail: Some(choice.detail).filter(|detail| !detail.is_empty()),
            documentation: Some(Documentation::String(choice.documentation)),
            filter_text: Some(choice.label),
            insert_text_format: is_snippet.then_some(InsertTextFormat::SNIPPET),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit::new(range, insert))),
            ..Default::default()
        }
    };
    found.into_iter().map(item).collect()
}

fn choice(label: impl Into<String>, documentation: impl Into<String>, kind: CompletionItemKind) -> Choice {
    Choice {
        label: label.into(),
        detail: String::new(),
        documentation: documentation.into(),
        kind,
        insert: None,
    }
}

fn fields(names: &[(&str, &str)]) -> Vec<Choice> {
    names.iter().map(|(name, what)| choice(*name, *what, CompletionItemKind::FIELD)).collect()
}

fn keys(reading: &Reading, context: &Context, text: &str, snippets: bool) -> Vec<Choice> {
    let path: Vec<&str> = context.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        [] => root_keys(reading.format, snippets),
        ["nodes"] => fields(&[
            ("id", "Unique within the melody."),
            ("kind", "instrument, operator, control, input or output."),
            ("uses", "A provider, operator or control."),
            ("params", "Settings of what it uses."),
            ("inputs", "Input ports for its templates, with their types."),
            ("timeout", "The longest an attempt may take, as in \"60s\"."),
            ("on_error", "What happens when it fails: retry, then halt, skip, fallback or compensate."),
            ("limits", "What an attempt may use."),
            ("name", "Name for people."),
            ("description", "What it is for."),
        ]),
        ["edges"] => fields(&[
            ("from", "An output port: `node.port`."),
            ("to", "An input port: `node.port`."),
            ("when", "The edge is taken only if this holds for its value."),
        ]),
        ["nodes", "params"] => node_signature(context, text).map(param_keys).unwrap_or_default(),
        ["nodes", "params", "params"] => inner_uses(context, text)
            .and_then(|uses| CATALOGUE.find(uses))
            .map(param_keys)
            .unwrap_or_default(),
        ["nodes", "on_error"] => fields(&[
            ("retry", "Further attempts after the first."),
            ("backoff", "Time before the first further attempt; it doubles with each."),
            ("fallback", "The node that runs instead."),
            ("compensate", "The node that undoes what was half done."),
            ("skip", "Count as skipped."),
            ("halt", "Start nothing new."),
        ]),
        ["limits"] | ["nodes", "limits"] => fields(&[
            ("memory", "As in \"512MB\"."),
            ("cpu", "Processors."),
            ("tokens", "Tokens, in and out together."),
            ("cost_usd", "US dollars."),
            ("writes", "The only paths that may be written."),
        ]),
        ["inputs", _] => fields(&[
            ("type", "Type of the value."),
            ("default", "Used where none is given."),
            ("description", ""),
        ]),
        ["outputs", _] => fields(&[
            ("type", "Type of the value."),
            ("from", "The port it comes from."),
            ("description", ""),
        ]),
        ["nodes", "inputs", _] => {
            fields(&[("type", "Type of the value."), ("default", "Used where no edge leads.")])
        }
        _ => Vec::new(),
    }
}

fn root_keys(format: Format, snippets: bool) -> Vec<Choice> {
    let mut found = fields(&[
        ("id", "Name by which programs refer to it."),
        ("name", "Name for people."),
        ("description", "What it is for."),
        ("version", "Three numbers, as in \"1.0.0\"."),
    ]);
    if format == Format::Json {
        found.extend(fields(&[
            ("inputs", "What is given when a run starts."),
            ("outputs", "What a run gives."),
            ("nodes", "What is done."),
            ("edges", "In which order, and with which values."),
            ("limits", "What the whole run may use."),
            ("schemas", "JSON Schemas that types may name."),
        ]));
        return found;
    }
    for (label, what, snippet, plain) in [
        (
            "[[nodes]]",
            "A node.",
            "[[nodes]]\nid = \"$1\"\nkind = \"${2|operator,instrument,control|}\"\nuses = \"$3\"\nparams = { $0 }\n",
            "[[nodes]]\n",
        ),
        ("[[edges]]", "An edge.", "[[edges]]\nfrom = \"$1\"\nto = \"$0\"\n", "[[edges]]\n"),
        (
            "[inputs.name]",
            "An input of the melody.",
            "[inputs.$1]\ntype = \"${2:text}\"\n$0",
            "[inputs.name]\n",
        ),
        (
            "[outputs.name]",
            "An output of the melody.",
            "[outputs.$1]\ntype = \"${2:text}\"\nfrom = \"$0\"\n",
            "[outputs.name]\n",
        ),
    ] {
        let mut one = choice(label, what, CompletionItemKind::SNIPPET);
        one.insert = Some(if snippets { snippet } else { plain }.to_owned());
        found.push(one);
    }
    found
}

fn param_keys(signature: &Signature) -> Vec<Choice> {
    let key = |param: &Param| {
        let mut one = choice(param.name, of_param(param), CompletionItemKind::PROPERTY);
        one.detail = if param.required {
            format!("{}, required", param.form.describe())
        } else {
            param.form.describe()
        };
        one
    };
    signature.params.iter().map(key).collect()
}

fn values(reading: &Reading, context: &mut Context, key: &str, text: &str, offset: usize) -> Vec<Choice> {
    let typed = text.get(context.start..offset).unwrap_or_default().to_owned();
    if let Some(open) = open_slot(&typed).filter(|_| context.quoted) {
        context.start += open;
        return slot_names(reading, context, text);
    }
    let path: Vec<&str> = context.path.iter().map(String::as_str).collect();
    match (path.as_slice(), key) {
        (["nodes"], "kind") => KINDS
            .iter()
            .map(|kind| choice(kind_name(*kind), what_kind(*kind), CompletionItemKind::ENUM_MEMBER))
            .collect(),
        (["nodes"], "uses") => uses(node_kind(context, text), reading.last.as_deref()),
        (["nodes"], "on_error") => {
            ["halt", "skip"].map(|word| choice(word, "", CompletionItemKind::ENUM_MEMBER)).into()
        }
        (["nodes", "on_error"], "fallback" | "compensate") => node_ids(reading.last.as_deref()),
        (["edges"], "from") | (["outputs", _], "from") => ends(reading, context, &typed, true),
        (["edges"], "to") => ends(reading, context, &typed, false),
        (["inputs" | "outputs", _] | ["nodes", "inputs", _], "type") | (["nodes", "inputs"], _) => types(),
        (["nodes", "params"], "uses") => {
            let mut found = uses(Some(NodeKind::Instrument), None);
            found.extend(uses(Some(NodeKind::Operator), None));
            found
        }
        (["nodes", "params"], key) => {
            node_signature(context, text).and_then(|one| one.param(key)).map(param_values).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn param_values(param: &Param) -> Vec<Choice> {
    match &param.form {
        Form::Flag => ["true", "false"].map(|word| choice(word, "", CompletionItemKind::CONSTANT)).into(),
        Form::Choice(words) => {
            words.iter().map(|word| choice(*word, "", CompletionItemKind::ENUM_MEMBER)).collect()
        }
        _ => Vec::new(),
    }
}

/// Where the name begins that is being typed behind `{{`.
fn open_slot(typed: &str) -> Option<usize> {
    let open = typed.rfind("{{")?;
    let inner = &typed[open + 2..];
    let name = inner.trim_start();
    (!inner.contains("}}") && !name.contains(char::is_whitespace)).then(|| typed.len() - name.len())
}

/// Inputs of the melody, ports of the node that edges lead into, and what a control gives.
fn slot_names(reading: &Reading, context: &Context, text: &str) -> Vec<Choice> {
    let Some(melody) = reading.last.as_deref() else { return Vec::new() };
    let mut found: Vec<Choice> = Vec::new();
    for (name, input) in &melody.inputs {
        let mut one = choice(name.as_str(), input.description.as_str(), CompletionItemKind::VARIABLE);
        one.detail = format!("input of the melody: {}", input.port_type);
        found.push(one);
    }
    let id = text_of(context.table(text), "id").unwrap_or_default();
    for edge in melody.edges.iter().filter(|edge| edge.to.node == id && !edge.is_control()) {
        let mut one = choice(edge.to.port.as_str(), "", CompletionItemKind::VARIABLE);
        one.detail = format!("from {}", edge.from);
        found.push(one);
    }
    if let Some(node) = melody.nodes.iter().find(|node| node.id == id) {
        for (name, port) in &node.inputs {
            let mut one = choice(name.as_str(), "", CompletionItemKind::VARIABLE);
            one.detail = format!("input port: {}", port.port_type);
            found.push(one);
        }
    }
    for name in node_signature(context, text).map(Signature::given_names).unwrap_or_default() {
        found.push(choice(*name, "", CompletionItemKind::VARIABLE));
    }
    found.sort_by(|a, b| a.label.cmp(&b.label));
    found.dedup_by(|a, b| a.label == b.label);
    found
}

fn what_kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Instrument => "An AI model.",
        NodeKind::Operator => "A tool.",
        NodeKind::Control => "Decides what runs, how often and when.",
        NodeKind::Input => "Gives an input of the melody to the graph.",
        NodeKind::Output => "Takes an output of the melody from the graph.",
    }
}

fn uses(kind: Option<NodeKind>, melody: Option<&Melody>) -> Vec<Choice> {
    let names = |names: Vec<&str>| {
        names.into_iter().map(|name| choice(name, "", CompletionItemKind::VARIABLE)).collect()
    };
    match (kind, melody) {
        (Some(NodeKind::Input), Some(melody)) => names(melody.inputs.keys().map(String::as_str).collect()),
        (Some(NodeKind::Output), Some(melody)) => names(melody.outputs.keys().map(String::as_str).collect()),
        _ => {
            let fits = |signature: &&Signature| kind.is_none_or(|kind| signature.kinds.contains(&kind));
            let one = |signature: &Signature| {
                let label = signature.uses.trim_end_matches('*');
                let mut one = choice(label, of_signature(signature), CompletionItemKind::FUNCTION);
                one.detail = signature.summary.to_owned();
                one
            };
            CATALOGUE.signatures().filter(fits).map(one).collect()
        }
    }
}

fn node_ids(melody: Option<&Melody>) -> Vec<Choice> {
    let nodes = melody.into_iter().flat_map(|melody| &melody.nodes).take(1_000);
    nodes.map(|node| choice(node.id.as_str(), "", CompletionItemKind::REFERENCE)).collect()
}

/// `node.port`: first the nodes, behind the dot the ports of one.
fn ends(reading: &Reading, context: &mut Context, typed: &str, outputs: bool) -> Vec<Choice> {
    let Some(melody) = reading.last.as_deref() else { return Vec::new() };
    let Some((id, _)) = typed.split_once('.') else {
        let mut found = node_ids(Some(melody));
        for one in &mut found {
            let node = melody.nodes.iter().find(|node| node.id == one.label);
            one.detail = node.map(|node| node.uses.clone()).unwrap_or_default();
        }
        return found;
    };
    if context.quoted {
        context.start += id.len() + 1;
    }
    let Some(node) = melody.nodes.iter().find(|node| node.id == id) else { return Vec::new() };
    let ports = CATALOGUE.ports(melody, node);
    let names = if outputs { ports.output_names() } else { ports.input_names() };
    let port = |name: &str| {
        let mut one =
            choice(name, super::describe::of_port(&ports, name, outputs), CompletionItemKind::FIELD);
        let port_type =
            if outputs { ports.output(name) } else { ports.input(name).map(|feed| feed.port_type) };
        one.detail = port_type.map(|port_type| port_type.to_string()).unwrap_or_default();
        one
    };
    names.into_iter().map(port).collect()
}

fn types() -> Vec<Choice> {
    let mut found: Vec<Choice> =
        TYPE_NAMES.iter().map(|name| choice(*name, "", CompletionItemKind::TYPE_PARAMETER)).collect();
    let kinds = ARTIFACT_KINDS.iter().map(|kind| format!("artifact<{kind}>"));
    found.extend(kinds.map(|name| choice(name, "", CompletionItemKind::TYPE_PARAMETER)));
    found
}

fn node_kind(context: &Context, text: &str) -> Option<NodeKind> {
    let written = text_of(context.table(text), "kind")?;
    KINDS.into_iter().find(|kind| kind_name(*kind) == written)
}

fn node_signature(context: &Context, text: &str) -> Option<&'static Signature> {
    CATALOGUE.find(text_of(context.table(text), "uses")?)
}

/// `uses` within `params`: the second one of the node's text.
fn inner_uses<'t>(context: &Context, text: &'t str) -> Option<&'t str> {
    let table = context.table(text);
    let params = table.find("params")?;
    text_of(&table[params..], "uses")
}
