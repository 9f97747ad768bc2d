mod fake;
mod membership;
mod writer;
