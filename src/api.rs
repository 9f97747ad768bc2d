//! The HTTP API: routes, public JSON, metrics, the status page.
//!
//! Owns: what can be asked and ordered from outside, who may order, and the limits of a caller.
//! Promises: only a POST that shows the token changes anything; every refusal is a JSON error that says what to do;
//! connections, headers, bodies and waiting are bounded.
//! Does not know: how answers come about (that is behind [`Backend`]).

mod access;
mod backend;
mod error;
pub mod json;
mod lookups;
mod orders;
mod page;
mod query;
mod routes;
mod serve;
mod settings;
mod tls;

pub use backend::{Backend, BoxFuture, KnownOffset, TranslateQuestion};
pub use error::ApiError;
pub use serve::serve;
pub use settings::{ApiStartError, Limits, Settings, TlsFiles};

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
