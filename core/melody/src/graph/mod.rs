//! Drawings of a melody: DOT for other programs, SVG for people.

mod dot;
mod layout;
mod svg;

use crate::Melody;

pub use dot::dot;

/// The most nodes that are drawn as SVG; more, nobody could look at.
pub const MOST_DRAWN: usize = 2_000;

/// Why there is no drawing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// More nodes than anybody could look at.
    #[error("{0} nodes are too many for a drawing; at most {MOST_DRAWN} are drawn")]
    TooLarge(usize),
}

/// A drawing as SVG: layers from left to right, data edges solid, control edges dashed, conditional ones with their
/// condition. It follows the reader's choice of light or dark.
///
/// # Errors
/// [`GraphError::TooLarge`].
pub fn svg(melody: &Melody) -> Result<String, GraphError> {
    if melody.nodes.len() > MOST_DRAWN {
        return Err(GraphError::TooLarge(melody.nodes.len()));
    }
    Ok(svg::draw(melody, &layout::Layout::of(melody)))
}
