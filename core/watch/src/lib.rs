//! podium-watch
