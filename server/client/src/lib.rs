//! The typed IPC client: find or start the daemon, handshake, calls, subscriptions, reconnect.
