//! Melodies: the workflow files of the Pit (`*.melody.toml`, `*.melody.json`).
//!
//! [`read`] turns text into a [`Document`]: the [`Melody`], every fault at once as [`Diagnostic`]s, and the
//! [`Places`] of all nodes, keys, edges and params. [`Catalogue`] knows the built-in kinds of nodes. Nothing in here
//! does any I/O, so that the language server, the command line and the daemon judge a melody alike.

pub mod catalogue;
mod complexity;
mod condition;
mod diagnostic;
mod format;
pub mod graph;
mod life;
mod model;
mod port_type;
mod quantity;
mod read;
pub mod schema;
mod structure;
pub mod template;
mod tree;
mod validate;

pub use catalogue::{Catalogue, Signature};
pub use complexity::complexity;
pub use condition::{Condition, ConditionError};
pub use diagnostic::{Code, Diagnostic, LineIndex, Position, Range, Severity, Span};
pub use format::{Format, FormatError, format};
pub use life::Life;
pub use model::{
    AFTER, DONE, Edge, Input, Limits, Melody, Node, NodeKind, OnError, OnFailure, Output, Port, PortRef,
    kind_name,
};
pub use port_type::{ARTIFACT_KINDS, NAMES as TYPE_NAMES, PortType, PortTypeError};
pub use quantity::{Interval, Size};
pub use read::{Bounds, Document, EdgePlaces, End, Field, NodePlaces, Places, read, read_within, refused};
