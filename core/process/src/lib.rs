//! podium-process
