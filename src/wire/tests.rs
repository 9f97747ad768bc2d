pub(super) mod fake;
pub(crate) mod mutation;
mod real;
