//! Clients of others.
