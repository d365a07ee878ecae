//! Who follows whom: the shape of a melody by numbers instead of names.

use std::collections::HashMap;

use crate::Melody;

/// Nodes and edges by their index in the melody.
#[derive(Debug)]
pub(crate) struct Structure<'m> {
    /// The first node of each id.
    pub(crate) by_id: HashMap<&'m str, usize>,
    /// From and to of each edge; nothing where an end is no node.
    pub(crate) ends: Vec<Option<(usize, usize)>>,
    outgoing: Lists,
    incoming: Lists,
    /// For each node, the node that it is a fallback of or compensates for.
    pub(crate) stands_for: HashMap<usize, usize>,
}

/// For each node the numbers of its edges, in one piece of memory.
#[derive(Debug)]
struct Lists {
    starts: Vec<usize>,
    edges: Vec<usize>,
}

impl Lists {
    fn new(nodes: usize, ends: &[Option<(usize, usize)>], of: fn((usize, usize)) -> usize) -> Self {
        let mut starts = vec![0; nodes + 1];
        for end in ends.iter().flatten() {
            starts[of(*end) + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut edges = vec![0; starts[nodes]];
        for (edge, end) in ends.iter().enumerate() {
            if let Some(end) = end {
                edges[next[of(*end)]] = edge;
                next[of(*end)] += 1;
            }
        }
        Self { starts, edges }
    }

    fn of(&self, node: usize) -> &[usize] {
        &self.edges[self.starts[node]..self.starts[node + 1]]
    }
}

impl<'m> Structure<'m> {
    pub(crate) fn new(melody: &'m Melody) -> Self {
        let mut by_id = HashMap::with_capacity(melody.nodes.len());
        for (index, node) in melody.nodes.iter().enumerate() {
            by_id.entry(node.id.as_str()).or_insert(index);
        }
        let find = |id: &str| by_id.get(id).copied();
        let ends: Vec<_> =
            melody.edges.iter().map(|edge| find(&edge.from.node).zip(find(&edge.to.node))).collect();
        let mut stands_for = HashMap::new();
        for (index, node) in melody.nodes.iter().enumerate() {
            if let Some(stand_in) = node.stand_in().and_then(find) {
                stands_for.entry(stand_in).or_insert(index);
            }
        }
        let nodes = melody.nodes.len();
        let outgoing = Lists::new(nodes, &ends, |(from, _)| from);
        let incoming = Lists::new(nodes, &ends, |(_, to)| to);
        Self { outgoing, incoming, by_id, ends, stands_for }
    }

    pub(crate) fn len(&self) -> usize {
        self.outgoing.starts.len() - 1
    }

    /// Numbers of the edges that leave a node.
    pub(crate) fn outgoing(&self, node: usize) -> &[usize] {
        self.outgoing.of(node)
    }

    /// Numbers of the edges that lead into a node.
    pub(crate) fn incoming(&self, node: usize) -> &[usize] {
        self.incoming.of(node)
    }

    /// The nodes that directly follow a node, through an edge each.
    pub(crate) fn after(&self, node: usize) -> impl Iterator<Item = usize> {
        self.outgoing(node).iter().filter_map(|edge| self.ends[*edge]).map(|(_, to)| to)
    }

    /// Layer of each node: 0 for the first ones, else one more than the latest node before. Nodes of a cycle, and
    /// what follows them, are put behind all others.
    pub(crate) fn layers(&self) -> Vec<usize> {
        let mut waiting: Vec<usize> = (0..self.len()).map(|node| self.incoming(node).len()).collect();
        let mut layers = vec![0; self.len()];
        let mut done = vec![false; self.len()];
        let mut ready: Vec<usize> = (0..self.len()).filter(|node| waiting[*node] == 0).collect();
        let mut deepest = 0;
        while let Some(node) = ready.pop() {
            done[node] = true;
            deepest = deepest.max(layers[node]);
            for next in self.after(node) {
                layers[next] = layers[next].max(layers[node] + 1);
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(next);
                }
            }
        }
        for (layer, _) in layers.iter_mut().zip(done).filter(|(_, done)| !done) {
            *layer = deepest + 1;
        }
        layers
    }
}
