//! What is tried on real brokers, one file per theme.

mod harness_self_test;
