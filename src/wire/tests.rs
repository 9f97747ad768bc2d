pub(super) mod fake;
mod real;
