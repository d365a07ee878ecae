//! End-to-end tests of the binaries, the language server and the editors.
