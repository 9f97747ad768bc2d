//! Tests of the harness that need no broker; these run with every `cargo test`.

mod checker;
mod relay;
