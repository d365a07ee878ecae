//! Hermetic environments and launchers of real parts for the tests.
