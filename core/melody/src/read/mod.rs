//! From text to a melody with all its faults and places.

mod edges;
mod nodes;
mod places;
mod ports;
mod reader;

use crate::catalogue::Catalogue;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::tree::{self, Data, Tree};
use crate::{Format, Life, LineIndex, Melody, Span, validate};

pub use places::{EdgePlaces, End, Field, NodePlaces, Places};
pub(crate) use reader::Reader;

/// What is refused before it costs anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest text, in bytes.
    pub bytes: usize,
    /// Most nodes.
    pub nodes: usize,
    /// Most edges.
    pub edges: usize,
    /// Most diagnostics; what is beyond is counted and not told.
    pub diagnostics: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 32 << 20, nodes: 100_000, edges: 500_000, diagnostics: 10_000 }
    }
}

/// A text that was read as a melody.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it says, as far as it could be read: with faults it is only good to be looked at.
    pub melody: Option<Melody>,
    /// All faults, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    /// Where everything stands; `nodes` and `edges` are those of the melody, in its order.
    pub places: Places,
    /// 1 to 10; nothing where there is no melody.
    pub complexity: Option<u8>,
}

impl Document {
    /// Whether it may run: it has a melody, and no diagnostic is an error.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.melody.is_some() && !self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Where in its life the melody is, as far as the text says.
    #[must_use]
    pub fn life(&self) -> Life {
        if self.is_valid() { Life::Ready } else { Life::Draft }
    }

    /// The melody if it may run, else why not.
    ///
    /// # Errors
    /// All diagnostics.
    pub fn ready(self) -> Result<Melody, Vec<Diagnostic>> {
        let valid = self.is_valid();
        self.melody.filter(|_| valid).ok_or(self.diagnostics)
    }
}

/// Reads a melody, with the usual bounds.
#[must_use]
pub fn read(text: &str, format: Format, catalogue: &Catalogue) -> Document {
    read_within(text, format, catalogue, &Bounds::default())
}

/// Reads a melody within bounds.
#[must_use]
pub fn read_within(text: &str, format: Format, catalogue: &Catalogue, bounds: &Bounds) -> Document {
    if let Some(refusal) = refused(text.len() as u64, bounds) {
        return refusal;
    }
    let mut reader = Reader::new(text);
    let (tree, faults) = tree::parse(text, format);
    for fault in faults {
        let message = if fault.message.is_empty() { "this cannot be read".into() } else { fault.message };
        reader.error(Code::Syntax, fault.span, message);
    }
    let broken = !reader.findings.is_empty();
    let mut places = Places::default();
    let melody = tree.and_then(|tree| melody(&mut reader, &tree, &mut places, bounds));
    if let Some(melody) = &melody {
        validate::validate(&mut reader, melody, &places, catalogue);
    }
    if broken {
        // What is missing may be behind the fault.
        reader.findings.retain(|finding| finding.code == Code::Syntax || finding.code.is_certain());
    }
    let complexity = melody.as_ref().map(crate::complexity);
    let diagnostics = reader.diagnostics(bounds.diagnostics);
    Document { melody, diagnostics, places, complexity }
}

/// What is said of a text of so many bytes before it is read: nothing, unless it is too long.
#[must_use]
pub fn refused(bytes: u64, bounds: &Bounds) -> Option<Document> {
    if bytes <= bounds.bytes as u64 {
        return None;
    }
    let length = bytes.div_ceil(1 << 20);
    let message = format!("this file has {length} MiB; a melody has at most {} MiB", bounds.bytes >> 20);
    let diagnostic = Diagnostic {
        code: Code::ResourceExceeded,
        severity: Severity::Error,
        message,
        hint: Some(
            "split it into several melodies, or let a `map` run one node for each element of a list".into(),
        ),
        node: None,
        range: LineIndex::new("").range(&(0..0)),
        path: Vec::new(),
        span: 0..0,
    };
    Some(Document {
        melody: None,
        diagnostics: vec![diagnostic],
        places: Places::default(),
        complexity: None,
    })
}

const ROOT: [&str; 10] =
    ["id", "name", "description", "version", "inputs", "outputs", "schemas", "limits", "nodes", "edges"];

fn melody(reader: &mut Reader<'_>, tree: &Tree<'_>, places: &mut Places, bounds: &Bounds) -> Option<Melody> {
    if tree.entries().is_none() {
        reader.error(
            Code::InvalidField,
            tree.head.clone(),
            format!("a melody is a table, not {}", tree.what()),
        );
        return None;
    }
    reader.only(tree, &ROOT, "a melody", None);
    places.root = places::fields(tree);
    let id = reader.required_name(tree, "id", "a melody");
    let version = reader.text(tree, "version", None).unwrap_or_default();
    check_version(reader, tree, &version);
    let nodes = list(reader, tree, "nodes", bounds.nodes)?;
    let edges = list(reader, tree, "edges", bounds.edges)?;
    if nodes.is_empty() {
        let at = tree.get("nodes").map_or(0..0, |entry| entry.key.clone());
        let hint = "a node is `[[nodes]]` with `id`, `kind` and `uses`";
        reader.error(Code::MissingField, at, "a melody has at least one node".into()).hint(hint);
    }
    Some(Melody {
        name: reader.text(tree, "name", None).unwrap_or_else(|| id.clone()),
        id,
        description: reader.text(tree, "description", None).unwrap_or_default(),
        version,
        schemas: ports::schemas(reader, tree),
        inputs: ports::inputs(reader, tree, places),
        outputs: ports::outputs(reader, tree, places),
        limits: nodes::limits(reader, tree, None),
        nodes: nodes::nodes(reader, nodes, places),
        edges: edges::edges(reader, edges, places),
    })
}

/// The elements of a list; nothing where there are more than anybody could run.
fn list<'a, 't>(
    reader: &mut Reader<'_>,
    tree: &'a Tree<'t>,
    name: &str,
    most: usize,
) -> Option<&'a [Tree<'t>]> {
    let Some(entry) = tree.get(name) else { return Some(&[]) };
    let Data::List(items) = &entry.value.data else {
        let message = format!("`{name}` is a list, not {}", entry.value.what());
        let finding = reader.error(Code::InvalidField, entry.key.clone(), message);
        finding.hint(format!("in TOML each element is headed by `[[{name}]]`"));
        return Some(&[]);
    };
    if items.len() > most {
        let message = format!("{} {name} are too many: a melody has at most {most}", items.len());
        let finding = reader.error(Code::ResourceExceeded, entry.key.clone(), message);
        finding.hint("let a `map` run one node for each element of a list");
        return None;
    }
    Some(items)
}

fn check_version(reader: &mut Reader<'_>, tree: &Tree<'_>, version: &str) {
    let Some(entry) = tree.get("version") else { return };
    let (core, _) = version.split_once(['-', '+']).unwrap_or((version, ""));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if entry.value.text().is_some() && (core.split('.').count() != 3 || !core.split('.').all(is_number)) {
        let message = format!("`{version}` is no version");
        let span: Span = entry.value.span.clone();
        reader.error(Code::InvalidField, span, message).hint("three numbers, such as \"1.0.0\"");
    }
}
