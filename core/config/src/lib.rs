//! Layered configuration with provenance: defaults, user, project, environment, flags.
