//! The program `causeway`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A daemon with thousands of idle partitions spends its time on small requests and answers, which are allocated on
/// one thread and freed on another. There the allocator of the C library took half of the CPU (`docs/scale.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    causeway::cli::main()
}
