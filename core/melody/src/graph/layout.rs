//! A layered layout (Sugiyama): layers by the longest way, order within a layer by the barycentre of neighbours,
//! places by pulling each box towards its neighbours without letting boxes overlap.

use crate::Melody;
use crate::structure::Structure;

pub(super) const BOX_HEIGHT: f64 = 44.0;
const GAP: f64 = 22.0;
const THIN_GAP: f64 = 12.0;
const LAYER_GAP: f64 = 76.0;
const MARGIN: f64 = 24.0;
const SWEEPS: usize = 12;
/// Edges that pass more layers than this are drawn in one curve.
const MOST_BENDS: usize = 24;

/// Where everything is, in pixels.
#[derive(Debug)]
pub(super) struct Layout {
    /// Boxes of the nodes: x, y (upper left), width.
    pub(super) boxes: Vec<(f64, f64, f64)>,
    /// Points that an edge passes between its ends.
    pub(super) bends: Vec<Vec<(f64, f64)>>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A place in a layer: a node, or the bend of a long edge.
struct Slot {
    node: Option<usize>,
    neighbours_before: Vec<usize>,
    neighbours_after: Vec<usize>,
    y: f64,
}

struct Grid {
    slots: Vec<Slot>,
    layers: Vec<Vec<usize>>,
    bends: Vec<Vec<usize>>,
}

impl Layout {
    pub(super) fn of(melody: &Melody) -> Self {
        let structure = Structure::new(melody);
        let mut grid = Grid::new(&structure);
        grid.order();
        grid.place();
        let widths: Vec<f64> = melody.nodes.iter().map(width_of).collect();
        let columns: Vec<f64> = grid
            .layers
            .iter()
            .map(|layer| {
                let widths = layer.iter().filter_map(|slot| grid.slots[*slot].node).map(|node| widths[node]);
                widths.fold(24.0, f64::max)
            })
            .collect();
        let mut lefts = Vec::with_capacity(columns.len());
        let mut x = MARGIN;
        for column in &columns {
            lefts.push(x);
            x += column + LAYER_GAP;
        }
        let mut layout = Self {
            boxes: vec![(0.0, 0.0, 0.0); widths.len()],
            bends: Vec::new(),
            width: x - LAYER_GAP + MARGIN,
            height: 0.0,
        };
        let mut middles = vec![(0.0, 0.0); grid.slots.len()];
        for (layer, slots) in grid.layers.iter().enumerate() {
            for slot in slots {
                let y = grid.slots[*slot].y + MARGIN;
                middles[*slot] = (lefts[layer] + columns[layer] / 2.0, y + BOX_HEIGHT / 2.0);
                layout.height = layout.height.max(y + BOX_HEIGHT + MARGIN);
                if let Some(node) = grid.slots[*slot].node {
                    layout.boxes[node] =
                        (lefts[layer] + (columns[layer] - widths[node]) / 2.0, y, widths[node]);
                }
            }
        }
        layout.bends =
            grid.bends.iter().map(|bends| bends.iter().map(|slot| middles[*slot]).collect()).collect();
        layout
    }
}

fn width_of(node: &crate::Node) -> f64 {
    let letters = node.id.chars().count().max(node.uses.chars().count()).clamp(8, 36);
    #[expect(clippy::cast_precision_loss, reason = "at most 36")]
    let letters = letters as f64;
    letters * 7.6 + 34.0
}

impl Grid {
    fn new(structure: &Structure<'_>) -> Self {
        let layer_of = structure.layers();
        let count = layer_of.iter().max().map_or(0, |deepest| deepest + 1);
        let mut layers = vec![Vec::new(); count];
        let slot = |node| Slot { node, neighbours_before: Vec::new(), neighbours_after: Vec::new(), y: 0.0 };
        let mut slots: Vec<Slot> = (0..structure.len()).map(|node| slot(Some(node))).collect();
        for (node, layer) in layer_of.iter().enumerate() {
            layers[*layer].push(node);
        }
        let mut bends = vec![Vec::new(); structure.ends.len()];
        for (edge, ends) in structure.ends.iter().enumerate() {
            let Some((from, to)) = *ends else { continue };
            let passed = layer_of[from] + 1..layer_of[to].max(layer_of[from] + 1);
            if layer_of[to] <= layer_of[from] {
                continue;
            }
            let mut before = from;
            if passed.len() <= MOST_BENDS {
                for layer in passed {
                    let bend = slots.len();
                    slots.push(slot(None));
                    layers[layer].push(bend);
                    bends[edge].push(bend);
                    slots[before].neighbours_after.push(bend);
                    slots[bend].neighbours_before.push(before);
                    before = bend;
                }
            }
            slots[before].neighbours_after.push(to);
            slots[to].neighbours_before.push(before);
        }
        Self { slots, layers, bends }
    }

    /// Sweeps forwards and backwards, each time ordering a layer by the middle of its neighbours.
    fn order(&mut self) {
        let mut position = vec![0.0; self.slots.len()];
        for sweep in 0..SWEEPS {
            let forwards = sweep % 2 == 0;
            let count = self.layers.len();
            for step in 0..count {
                let layer = if forwards { step } else { count - 1 - step };
                let slots = &self.slots;
                let key = |slot: &usize| {
                    let near = if forwards {
                        &slots[*slot].neighbours_before
                    } else {
                        &slots[*slot].neighbours_after
                    };
                    mean(near.iter().map(|other| position[*other])).unwrap_or(position[*slot])
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.layers[layer].iter().map(|slot| (key(slot), *slot)).collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[layer] = keyed.into_iter().map(|(_, slot)| slot).collect();
                for (at, slot) in self.layers[layer].iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                    let at = at as f64;
                    position[*slot] = at;
                }
            }
        }
    }

    fn place(&mut self) {
        for layer in 0..self.layers.len() {
            self.settle(layer, |_| None);
        }
        for sweep in 0..SWEEPS {
            let forwards = sweep % 2 == 1;
            let count = self.layers.len();
            for step in 0..count {
                let layer = if forwards { step } else { count - 1 - step };
                self.settle(layer, |slot| {
                    Some(if forwards { &slot.neighbours_before } else { &slot.neighbours_after })
                });
            }
        }
        let top = self.slots.iter().map(|slot| slot.y).fold(f64::MAX, f64::min);
        self.slots.iter_mut().for_each(|slot| slot.y -= top);
    }

    /// Puts each slot of a layer at the mean of its neighbours, then pushes apart what is too near: downwards from
    /// the first, and half of the way back, so that a layer stays centred on where it wants to be.
    fn settle(&mut self, layer: usize, near: impl Fn(&Slot) -> Option<&Vec<usize>>) {
        let order = &self.layers[layer];
        let wanted: Vec<f64> = order
            .iter()
            .map(|slot| {
                let near = near(&self.slots[*slot]).into_iter().flatten();
                mean(near.map(|other| self.slots[*other].y)).unwrap_or(self.slots[*slot].y)
            })
            .collect();
        let apart = |a: usize, b: usize| {
            let thin = self.slots[a].node.is_none() || self.slots[b].node.is_none();
            BOX_HEIGHT + if thin { THIN_GAP - BOX_HEIGHT / 2.0 } else { GAP }
        };
        let mut placed = wanted.clone();
        for at in 1..order.len() {
            placed[at] = placed[at].max(placed[at - 1] + apart(order[at - 1], order[at]));
        }
        let drift =
            mean(placed.iter().zip(&wanted).map(|(placed, wanted)| placed - wanted)).unwrap_or_default();
        for (slot, y) in order.clone().into_iter().zip(placed) {
            self.slots[slot].y = y - drift;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
