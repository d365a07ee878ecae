//! The one SQLite file: writer thread, read pool, migrations, and the event log.
