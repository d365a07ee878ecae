//! The daemon: bootstrap, IPC endpoint, one service per domain, shutdown.
