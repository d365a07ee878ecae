//! The ports of one node: those of its signature, those it declares, and those that every node has.

use super::{Catalogue, InputPort, Signature};
use crate::{AFTER, DONE, Melody, Node, NodeKind, PortType};

/// The ports of a node of a melody.
#[derive(Debug, Clone, Copy)]
pub struct Ports<'a> {
    melody: &'a Melody,
    node: &'a Node,
    signature: Option<&'a Signature>,
    catalogue: &'a Catalogue,
}

/// An input port of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// What it takes.
    pub port_type: PortType,
    /// Whether an edge has to bring a value: it is asked for and has neither a param nor a default.
    pub required: bool,
    /// Whether several edges may lead into it.
    pub many: bool,
}

impl Catalogue {
    /// The ports of a node.
    #[must_use]
    pub fn ports<'a>(&'a self, melody: &'a Melody, node: &'a Node) -> Ports<'a> {
        Ports { melody, node, signature: self.signature(node.kind, &node.uses), catalogue: self }
    }
}

impl Node {
    /// The melody input or output that a node of kind `input` or `output` stands for.
    #[must_use]
    pub fn stands_for(&self) -> &str {
        if self.uses.is_empty() { &self.id } else { &self.uses }
    }
}

impl<'a> Ports<'a> {
    /// What the node's `uses` stands for; `None` for `input` and `output`, and where nothing has that name.
    #[must_use]
    pub fn signature(&self) -> Option<&'a Signature> {
        self.signature
    }

    /// Whether nothing is known about the ports, because `uses` is unknown.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.signature.is_none() && !matches!(self.node.kind, NodeKind::Input | NodeKind::Output)
    }

    /// The input port of a name, `after` included.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<Feed> {
        if name == AFTER {
            return Some(Feed { port_type: PortType::Any, required: false, many: true });
        }
        if let Some(port) = self.node.inputs.get(name) {
            let required = port.default.is_none() && !port.port_type.may_be_absent();
            return Some(Feed { port_type: port.port_type.clone(), required, many: false });
        }
        if self.node.kind == NodeKind::Output {
            let output = self.melody.outputs.get(self.node.stands_for());
            let port_type = output.map_or(PortType::Any, |output| output.port_type.clone());
            return (name == "in").then_some(Feed { port_type, required: true, many: false });
        }
        let signature = self.signature?;
        if let Some(port) = signature.input(name) {
            return Some(self.feed(port));
        }
        let open = signature.open_inputs && self.node.inputs.is_empty();
        open.then_some(Feed { port_type: PortType::Any, required: false, many: false })
    }

    /// The output port of a name, `done` included.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<PortType> {
        if name == DONE {
            return Some(PortType::Any);
        }
        if self.node.kind == NodeKind::Input {
            let input = self.melody.inputs.get(self.node.stands_for());
            return (name == "out").then(|| input.map_or(PortType::Any, |input| input.port_type.clone()));
        }
        let signature = self.signature?;
        let port = signature.output(name)?;
        Some(self.sharpened(signature, name).unwrap_or_else(|| port.port_type.clone()))
    }

    /// Names of the input ports that are known by name, `after` last.
    #[must_use]
    pub fn input_names(&self) -> Vec<&'a str> {
        let declared = self.node.inputs.keys().map(String::as_str);
        let own =
            self.signature.into_iter().flat_map(|signature| signature.inputs.iter().map(|port| port.name));
        let of_output = (self.node.kind == NodeKind::Output).then_some("in");
        let mut names: Vec<&str> = own.chain(of_output).collect();
        for name in declared {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.push(AFTER);
        names
    }

    /// Names of the output ports, `done` last.
    #[must_use]
    pub fn output_names(&self) -> Vec<&'a str> {
        let own =
            self.signature.into_iter().flat_map(|signature| signature.outputs.iter().map(|port| port.name));
        own.chain((self.node.kind == NodeKind::Input).then_some("out")).chain([DONE]).collect()
    }

    fn feed(&self, port: &InputPort) -> Feed {
        let required = port.required && !self.node.params.contains_key(port.name);
        Feed { port_type: port.port_type.clone(), required, many: port.many }
    }

    /// What a control gives follows from what it runs.
    fn sharpened(&self, signature: &Signature, port: &str) -> Option<PortType> {
        if !signature.runs_another() {
            return None;
        }
        let inner = self.catalogue.find(self.node.params.get("uses")?.as_str()?)?;
        let main = inner.outputs.first()?.port_type.clone();
        match (signature.uses, port) {
            ("map", "results") => Some(PortType::list(main)),
            ("loop", "out") => Some(main),
            _ => None,
        }
    }
}
