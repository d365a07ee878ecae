//! The editor files embedded by the build script.

include!(concat!(env!("OUT_DIR"), "/editors.rs"));
