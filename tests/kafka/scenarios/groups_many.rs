//! Many groups: how old positions are on the target, and what that costs. Prints figures; `GROUPS`, `GROUP_TOPICS`
//! and `GROUP_CHANGES` (a second) give the size.

use crate::group_load::{Size, measure};

use super::shared;

#[test]
#[ignore = "needs real Kafka, and some minutes: run with -- --ignored"]
fn many_groups() {
    let on = shared();
    eprintln!("{}", measure(on.source, on.target, Size::from_environment((500, 10, 50))));
}
