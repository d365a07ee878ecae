//! Content-addressed artifacts and their search index.
