//! podium-secrets
