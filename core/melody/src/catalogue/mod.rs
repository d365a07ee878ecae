//! What nodes can be: each built-in instrument, operator and control with its ports and params.

mod builtin;
mod ports;

use std::collections::HashMap;

use serde_json::Value;

pub use ports::{Feed, Ports};

use crate::template::Quoting;
use crate::{NodeKind, PortType};

/// All kinds of nodes that a melody may use.
#[derive(Debug, Clone)]
pub struct Catalogue {
    signatures: Vec<Signature>,
    exact: HashMap<&'static str, usize>,
}

/// What a node of one `uses` takes and gives.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The name in `uses`. One that ends in `*` stands for all names that begin so (`acp:*`).
    pub uses: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// The kinds a node may have with it, the usual one first.
    pub kinds: &'static [NodeKind],
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its input ports, but for `after`.
    pub inputs: Vec<InputPort>,
    /// Whether a node may have further input ports (of type any, or as its `inputs` declares them) for its templates.
    pub open_inputs: bool,
    /// Its output ports, the main one first, but for `done`.
    pub outputs: Vec<OutputPort>,
    /// Its params.
    pub params: Vec<Param>,
    /// Whether equal inputs and params give equal outputs, without an effect: results may be kept.
    pub pure: bool,
    /// Whether it changes something outside of the run: its completion is stored before anything follows.
    pub writes: bool,
    /// When it runs, if not all of its incoming edges are taken.
    pub join: Join,
}

/// When a node with several incoming edges runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// When all are taken; if one is not, the node is skipped.
    All,
    /// When all are decided and at least one is taken.
    Any,
}

/// An input port.
#[derive(Debug, Clone)]
pub struct InputPort {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub port_type: PortType,
    /// Whether it needs an edge, or a param of its name.
    pub required: bool,
    /// Whether several edges may lead into it; the node gets a list of their values, in the order of the edges.
    pub many: bool,
    /// What it is for.
    pub summary: &'static str,
}

/// An output port.
#[derive(Debug, Clone)]
pub struct OutputPort {
    /// Its name.
    pub name: &'static str,
    /// What it gives.
    pub port_type: PortType,
    /// What that is.
    pub summary: &'static str,
}

/// A param.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its key.
    pub name: &'static str,
    /// What may be written.
    pub form: Form,
    /// Whether it has to be there (or an edge into the input port of its name).
    pub required: bool,
    /// What holds without it.
    pub default: Option<Value>,
    /// What it is for.
    pub summary: &'static str,
}

/// What may be written as a param.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A text in which `{{name}}` stands for a value, written as the quoting says.
    Template(Quoting),
    /// A text without slots.
    Text,
    /// A whole number of this range.
    Integer(i64, i64),
    /// A number of this range.
    Number(f64, f64),
    /// `true` or `false`.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A [`Condition`](crate::Condition).
    Condition,
    /// A list of templates.
    Templates,
    /// A table of templates.
    Table,
    /// Anything; texts within are templates.
    Any,
    /// `uses` of the instrument or operator that a control runs.
    Uses,
    /// The params of the instrument or operator that a control runs.
    InnerParams,
}

impl Form {
    /// What to write, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Template(_) | Self::Text => "a text".into(),
            Self::Integer(low, high) if *high == i64::MAX => format!("a whole number from {low}"),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Flag => "true or false".into(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Condition => "a condition such as `.status == 0`".into(),
            Self::Templates => "a list of texts".into(),
            Self::Table | Self::InnerParams => "a table".into(),
            Self::Any => "any value".into(),
            Self::Uses => "the name of an instrument or operator".into(),
        }
    }
}

impl Catalogue {
    /// Everything that is built in.
    #[must_use]
    pub fn builtin() -> Self {
        let signatures = builtin::signatures();
        let names = |(index, signature): (usize, &Signature)| {
            let all = std::iter::once(signature.uses).chain(signature.aliases.iter().copied());
            all.map(|name| (name, index)).collect::<Vec<_>>()
        };
        let exact = signatures.iter().enumerate().flat_map(names).collect();
        Self { signatures, exact }
    }

    /// All signatures.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.signatures.iter()
    }

    /// The signature of a name in `uses`, an alias included.
    #[must_use]
    pub fn find(&self, uses: &str) -> Option<&Signature> {
        if let Some(index) = self.exact.get(uses) {
            return self.signatures.get(*index).filter(|signature| !signature.uses.ends_with('*'));
        }
        self.signatures.iter().find(|signature| {
            let stem = signature.uses.strip_suffix('*');
            stem.is_some_and(|stem| uses.len() > stem.len() && uses.starts_with(stem))
        })
    }

    /// The signature of a node of this kind; `None` also where the name belongs to another kind.
    #[must_use]
    pub fn signature(&self, kind: NodeKind, uses: &str) -> Option<&Signature> {
        self.find(uses).filter(|signature| signature.kinds.contains(&kind))
    }

    /// The names that a node of this kind may use, aliases left out.
    pub fn names(&self, kind: NodeKind) -> impl Iterator<Item = &'static str> {
        self.signatures.iter().filter(move |signature| signature.kinds.contains(&kind)).map(|one| one.uses)
    }

    /// The name nearest to one that is unknown.
    #[must_use]
    pub fn nearest(&self, kind: NodeKind, uses: &str) -> Option<&'static str> {
        nearest(uses, self.names(kind).filter(|name| !name.ends_with('*')))
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Signature {
    /// The input port of a name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&InputPort> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output port of a name.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<&OutputPort> {
        self.outputs.iter().find(|port| port.name == name)
    }

    /// The param of a name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    /// Whether it runs another instrument or operator, which its params name.
    #[must_use]
    pub fn runs_another(&self) -> bool {
        self.params.iter().any(|param| param.form == Form::Uses)
    }

    /// Names that its own templates know beside ports and inputs: what a control gives to each run of what it runs.
    #[must_use]
    pub fn given_names(&self) -> &'static [&'static str] {
        match self.uses {
            "map" => &["item", "index"],
            "loop" => &["in", "index"],
            _ => &[],
        }
    }
}

/// The name nearest to another, if they are at all alike.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    if name.len() > 64 {
        return None;
    }
    let near = names.map(|other| (distance(other), other)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= name.chars().count().max(3) / 3 + 1).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_families_are_found_and_a_typing_error_has_a_neighbour() {
        let catalogue = Catalogue::builtin();
        assert_eq!(catalogue.find("claude").unwrap().uses, "anthropic");
        assert_eq!(catalogue.find("acp:gemini").unwrap().uses, "acp:*");
        assert!(catalogue.find("acp:").is_none() && catalogue.find("acp:*").is_none());
        assert!(catalogue.signature(NodeKind::Instrument, "shell").is_none());
        assert_eq!(catalogue.nearest(NodeKind::Operator, "file.wirte"), Some("files.write"));
        assert_eq!(catalogue.nearest(NodeKind::Instrument, "lcoal"), Some("local"));
        assert_eq!(catalogue.nearest(NodeKind::Operator, "xyzzy-frobnicate"), None);
    }

    #[test]
    fn every_signature_is_whole() {
        for signature in Catalogue::builtin().signatures() {
            let name = signature.uses;
            assert!(!signature.kinds.is_empty() && signature.summary.ends_with('.'), "{name}");
            assert!(!signature.outputs.is_empty(), "{name} gives something");
            assert!(!(signature.pure && signature.writes), "{name}");
            for port in &signature.inputs {
                assert!(![crate::AFTER, crate::DONE].contains(&port.name), "{name}.{}", port.name);
            }
        }
    }
}
