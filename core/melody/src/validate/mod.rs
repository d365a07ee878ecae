//! What a melody that can be read may still have wrong.

mod cycles;
mod edges;
mod flow;
mod limits;
mod names;
mod params;

use crate::catalogue::Catalogue;
use crate::read::{Places, Reader};
use crate::structure::Structure;
use crate::{Melody, Node};

/// What all checks look at.
pub(crate) struct Subject<'a> {
    pub(crate) melody: &'a Melody,
    pub(crate) places: &'a Places,
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) structure: Structure<'a>,
}

impl<'a> Subject<'a> {
    /// Nodes with their numbers.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (usize, &'a Node)> {
        self.melody.nodes.iter().enumerate()
    }

    /// Whether a data edge leads into a port of a node, or of the node that it stands in for.
    pub(crate) fn is_fed(&self, node: usize, port: &str) -> bool {
        let leads_in = |edge: &usize| self.melody.edges[*edge].to.port == port;
        let mut node = node;
        // A chain of stand-ins is as long as the melody at most, and one that goes round is a fault of its own.
        for _ in 0..8 {
            if self.structure.incoming(node).iter().any(leads_in) {
                return true;
            }
            let Some(main) = self.structure.stands_for.get(&node) else { return false };
            node = *main;
        }
        false
    }
}

/// Notes everything that is wrong.
pub(crate) fn validate(reader: &mut Reader<'_>, melody: &Melody, places: &Places, catalogue: &Catalogue) {
    let subject = Subject { melody, places, catalogue, structure: Structure::new(melody) };
    names::check(reader, &subject);
    params::check(reader, &subject);
    edges::check(reader, &subject);
    flow::check(reader, &subject);
    cycles::check(reader, &subject);
    limits::check(reader, &subject);
}
