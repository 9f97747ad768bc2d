//! The HTTP API: routes, public JSON, metrics, the status page.
//!
//! Owns: what can be asked and ordered from outside, who may order, and the limits of a caller.
//! Promises: only a POST that shows the token changes anything; every refusal is a JSON error that says what to do;
//! no caller can hold more than one connection's worth of memory.
//! Does not know: how answers come about (that is behind [`Backend`]).

mod backend;
mod error;
pub mod json;

pub use backend::{Backend, BoxFuture, KnownOffset, TranslateQuestion};
pub use error::ApiError;
