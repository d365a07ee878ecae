//! Where everything stands in the text.

use crate::Span;
use crate::tree::Tree;

/// The places of a melody, in bytes of its text.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Keys of the melody itself.
    pub root: Vec<Field>,
    /// Inputs of the melody.
    pub inputs: Vec<Field>,
    /// Outputs of the melody.
    pub outputs: Vec<Field>,
    /// As `Melody::nodes`.
    pub nodes: Vec<NodePlaces>,
    /// As `Melody::edges`.
    pub edges: Vec<EdgePlaces>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub name: Box<str>,
    /// Where the key is.
    pub key: Span,
    /// Where the value is, quotes included.
    pub value: Span,
}

/// The places of a node.
#[derive(Debug, Clone, Default)]
pub struct NodePlaces {
    /// All of it.
    pub whole: Span,
    /// Its id without quotes; the head of the node where it has none.
    pub id: Span,
    /// Its keys.
    pub fields: Vec<Field>,
    /// Its params.
    pub params: Vec<Field>,
    /// The input ports that it declares.
    pub inputs: Vec<Field>,
}

impl NodePlaces {
    /// The key of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        find(&self.fields, name)
    }

    /// The param of a name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Field> {
        find(&self.params, name)
    }
}

/// The places of an edge.
#[derive(Debug, Clone, Default)]
pub struct EdgePlaces {
    /// All of it.
    pub whole: Span,
    /// Where it begins.
    pub from: End,
    /// Where it ends.
    pub to: End,
    /// Its condition.
    pub when: Option<Span>,
}

/// The place of one end of an edge, or of `from` of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// `node.port` without quotes.
    pub whole: Span,
    /// `node`.
    pub node: Span,
    /// `port`.
    pub port: Span,
}

/// A field of a name.
pub(crate) fn find<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| &*field.name == name)
}

/// The keys of a table.
pub(crate) fn fields(tree: &Tree<'_>) -> Vec<Field> {
    let entries = tree.entries().unwrap_or_default();
    let field = |entry: &crate::tree::Entry<'_>| Field {
        name: entry.name.as_ref().into(),
        key: entry.key.clone(),
        value: entry.value.span.clone(),
    };
    entries.iter().map(field).collect()
}

/// The place of `node.port` in a text value.
pub(crate) fn end(tree: &Tree<'_>, source: &str) -> End {
    let text = tree.text().unwrap_or_default();
    let dot = text.find('.').unwrap_or(text.len());
    let port = (dot + 1).min(text.len());
    End {
        whole: tree.part(source, &(0..text.len())),
        node: tree.part(source, &(0..dot)),
        port: tree.part(source, &(port..text.len())),
    }
}
