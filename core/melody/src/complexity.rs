//! How hard a melody is to follow.

use crate::Melody;
use crate::structure::Structure;

/// 1 (a few nodes in a row) to 10, from the depth (nodes on the longest way), the width (nodes of the fullest layer)
/// and the fan-in (edges into one node). Each counts by its logarithm: 64 deep, 256 wide or a fan-in of 64 is all
/// that it can add.
#[must_use]
pub fn complexity(melody: &Melody) -> u8 {
    let structure = Structure::new(melody);
    let layers = structure.layers();
    let depth = layers.iter().max().map_or(1, |deepest| deepest + 1);
    let mut sizes = vec![0_usize; depth];
    layers.iter().for_each(|layer| sizes[*layer] += 1);
    let width = sizes.iter().max().copied().unwrap_or(1);
    let fan_in = (0..structure.len()).map(|node| structure.incoming(node).len()).max().unwrap_or(0);
    let score = 1.0 + 9.0 * (0.4 * share(depth, 64) + 0.3 * share(width, 256) + 0.3 * share(fan_in, 64));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10")]
    let score = score.round().clamp(1.0, 10.0) as u8;
    score
}

/// 0 for one, 1 for `full` and more.
#[expect(clippy::cast_precision_loss, reason = "only the magnitude counts")]
fn share(count: usize, full: usize) -> f64 {
    ((count.max(1) as f64).ln() / (full as f64).ln()).min(1.0)
}

#[cfg(test)]
mod tests {
    use crate::{Catalogue, Format, read};

    fn scored(nodes: usize, edges: &[(usize, usize)]) -> u8 {
        let node = |n| format!("[[nodes]]\nid = \"n{n}\"\nkind = \"operator\"\nuses = \"noop\"\n");
        let edge = |(from, to): &(usize, usize)| {
            format!("[[edges]]\nfrom = \"n{from}.done\"\nto = \"n{to}.after\"\n")
        };
        let text: String = std::iter::once("id = \"m\"\n".to_owned())
            .chain((0..nodes).map(node))
            .chain(edges.iter().map(edge))
            .collect();
        read(&text, Format::Toml, &Catalogue::builtin()).complexity.unwrap()
    }

    #[test]
    fn deeper_wider_and_more_joined_melodies_score_higher() {
        let chain = |n: usize| (1..n).map(|i| (i - 1, i)).collect::<Vec<_>>();
        let star = |n: usize| (1..n).map(|i| (i, 0)).collect::<Vec<_>>();
        assert_eq!(scored(1, &[]), 1);
        assert!(scored(4, &chain(4)) < scored(40, &chain(40)));
        assert!(scored(4, &star(4)) < scored(300, &star(300)));
        let layered: Vec<_> =
            (0..64).flat_map(|l| (0..64).map(move |i| (l * 64 + i, (l + 1) * 64 + (i * 7) % 64))).collect();
        let dense: Vec<_> = layered.into_iter().chain((0..64).map(|i| (64 + i, 128))).collect();
        assert!(scored(65 * 64, &dense) >= 9);
    }

    #[test]
    fn a_cycle_has_a_score_too() {
        assert!(scored(3, &[(0, 1), (1, 2), (2, 1)]) >= 1);
    }
}
