//! The form of the requests that are answered, as tables.
//!
//! Owns: the tables, for the flexible versions (KIP-482) alone.
//! Promises: a request that has the form of its table holds no tagged fields, and every element that it announces.
//! Does not know: what the fields mean.

use crate::wire::form::Field::{Fixed, List, Numbers, Text, Texts};
use crate::wire::form::{Since, always};

const PARTITIONS: &[Since] = &[always(Text), always(Numbers(4))];

pub(super) const METADATA: &[Since] = &[
    always(List(&[Since(10, i16::MAX, Fixed(16)), always(Text)])),
    always(Fixed(1)),
    Since(8, 10, Fixed(1)),
    always(Fixed(1)),
];
pub(super) const FETCH: &[Since] = &[
    Since(0, 14, Fixed(4)),
    // Wait, least and most bytes, isolation level, session and its epoch.
    always(Fixed(4 + 4 + 4 + 1 + 4 + 4)),
    always(List(&[
        Since(0, 12, Text),
        Since(13, i16::MAX, Fixed(16)),
        always(List(&[always(Fixed(4 + 4 + 8 + 4 + 8 + 4))])),
    ])),
    always(List(&[Since(0, 12, Text), Since(13, i16::MAX, Fixed(16)), always(Numbers(4))])),
    always(Text),
];
pub(super) const LIST_OFFSETS: &[Since] = &[
    always(Fixed(4 + 1)),
    always(List(&[always(Text), always(List(&[always(Fixed(4 + 4 + 8))]))])),
    Since(10, i16::MAX, Fixed(4)),
];
pub(super) const EPOCH_ENDS: &[Since] =
    &[always(Fixed(4)), always(List(&[always(Text), always(List(&[always(Fixed(4 + 4 + 4))]))]))];
pub(super) const DESCRIBE_PRODUCERS: &[Since] = &[always(List(PARTITIONS))];
pub(super) const DESCRIBE_CONFIGS: &[Since] =
    &[always(List(&[always(Fixed(1)), always(Text), always(Texts)])), always(Fixed(1 + 1))];
pub(super) const LIST_GROUPS: &[Since] = &[Since(4, i16::MAX, Texts), Since(5, i16::MAX, Texts)];
pub(super) const OFFSET_FETCH: &[Since] = &[
    always(List(&[always(Text), Since(9, i16::MAX, Text), Since(9, i16::MAX, Fixed(4)), always(List(PARTITIONS))])),
    always(Fixed(1)),
];
pub(super) const FIND_COORDINATOR: &[Since] = &[always(Fixed(1)), always(Texts)];
pub(super) const DESCRIBE_CLUSTER: &[Since] = &[always(Fixed(1)), Since(1, i16::MAX, Fixed(1))];
