//! What those responses look like that a peer may give for a cluster that it exposes.

use super::Field::{Fixed, List, Numbers, Tags, Text};
use super::{Since, Tagged, always, fits_within};

/// Elements of all lists of one response. Ten thousand topics of ten partitions are a quarter of it.
const ELEMENTS_MAX: usize = 400_000;
/// Tagged fields that nobody here knows, in one response.
const UNKNOWN_TAGS_MAX: usize = 1 << 12;
/// Responses without records are never larger, in bytes.
const BODY_BYTES_MAX: usize = 32 << 20;

const FETCH_KEY: i16 = 1;

/// An API, the versions whose form is known, the form.
struct Known(i16, i16, i16, &'static [Since]);

const ALL: &[Known] = &[
    Known(FETCH_KEY, 12, 15, FETCH),
    Known(2, 6, 10, LIST_OFFSETS),
    Known(3, 9, 13, METADATA),
    Known(9, 8, 9, OFFSET_FETCH),
    Known(10, 4, 5, FIND_COORDINATOR),
    Known(16, 3, 5, LIST_GROUPS),
    Known(18, 3, 3, API_VERSIONS),
    Known(23, 4, 4, EPOCH_ENDS),
    Known(32, 4, 4, DESCRIBE_CONFIGS),
    Known(60, 0, 1, DESCRIBE_CLUSTER),
    Known(61, 0, 0, DESCRIBE_PRODUCERS),
];

const FETCH: &[Since] = &[
    // Throttle time, error, session.
    always(Fixed(4 + 2 + 4)),
    always(List(&[
        Since(0, 12, Text),
        Since(13, i16::MAX, Fixed(16)),
        always(List(&[
            // Index, error, high watermark, last stable offset, log start offset.
            always(Fixed(4 + 2 + 8 + 8 + 8)),
            always(List(&[always(Fixed(8 + 8))])),
            always(Fixed(4)),
            always(Text),
            always(Tags(&[
                (0, Tagged::Struct(&[always(Fixed(4 + 8))])),
                (1, Tagged::Struct(&[always(Fixed(4 + 4))])),
                (2, Tagged::Struct(&[always(Fixed(8 + 4))])),
            ])),
        ])),
    ])),
];
const LIST_OFFSETS: &[Since] =
    &[always(Fixed(4)), always(List(&[always(Text), always(List(&[always(Fixed(4 + 2 + 8 + 8 + 4))]))]))];
const METADATA: &[Since] = &[
    always(Fixed(4)),
    always(List(&[always(Fixed(4)), always(Text), always(Fixed(4)), always(Text)])),
    always(Text),
    always(Fixed(4)),
    always(List(&[
        always(Fixed(2)),
        always(Text),
        Since(10, i16::MAX, Fixed(16)),
        always(Fixed(1)),
        always(List(&[always(Fixed(2 + 4 + 4 + 4)), always(Numbers(4)), always(Numbers(4)), always(Numbers(4))])),
        always(Fixed(4)),
    ])),
    Since(8, 10, Fixed(4)),
    Since(13, i16::MAX, Fixed(2)),
];
const OFFSET_FETCH: &[Since] = &[
    always(Fixed(4)),
    always(List(&[
        always(Text),
        always(List(&[always(Text), always(List(&[always(Fixed(4 + 8 + 4)), always(Text), always(Fixed(2))]))])),
        always(Fixed(2)),
    ])),
];
const FIND_COORDINATOR: &[Since] = &[
    always(Fixed(4)),
    always(List(&[always(Text), always(Fixed(4)), always(Text), always(Fixed(4 + 2)), always(Text)])),
];
const LIST_GROUPS: &[Since] = &[
    always(Fixed(4 + 2)),
    always(List(&[always(Text), always(Text), Since(4, i16::MAX, Text), Since(5, i16::MAX, Text)])),
];
const FEATURES: &[Since] = &[always(Text), always(Fixed(2 + 2))];
const API_VERSIONS: &[Since] = &[
    always(Fixed(2)),
    always(List(&[always(Fixed(2 + 2 + 2))])),
    always(Fixed(4)),
    always(Tags(&[
        (0, Tagged::One(List(FEATURES))),
        (1, Tagged::One(Fixed(8))),
        (2, Tagged::One(List(FEATURES))),
        (3, Tagged::One(Fixed(1))),
    ])),
];
const EPOCH_ENDS: &[Since] =
    &[always(Fixed(4)), always(List(&[always(Text), always(List(&[always(Fixed(2 + 4 + 4 + 8))]))]))];
const DESCRIBE_CONFIGS: &[Since] = &[
    always(Fixed(4)),
    always(List(&[
        always(Fixed(2)),
        always(Text),
        always(Fixed(1)),
        always(Text),
        always(List(&[
            always(Text),
            always(Text),
            always(Fixed(1 + 1 + 1)),
            always(List(&[always(Text), always(Text), always(Fixed(1))])),
            always(Fixed(1)),
            always(Text),
        ])),
    ])),
];
const DESCRIBE_CLUSTER: &[Since] = &[
    always(Fixed(4 + 2)),
    always(Text),
    Since(1, i16::MAX, Fixed(1)),
    always(Text),
    always(Fixed(4)),
    always(List(&[always(Fixed(4)), always(Text), always(Fixed(4)), always(Text)])),
    always(Fixed(4)),
];
const DESCRIBE_PRODUCERS: &[Since] = &[
    always(Fixed(4)),
    always(List(&[
        always(Text),
        always(List(&[always(Fixed(4 + 2)), always(Text), always(List(&[always(Fixed(8 + 4 + 4 + 8 + 4 + 8))]))])),
    ])),
];

/// The versions of an API whose responses can be judged.
pub(in crate::wire) fn known_versions(api_key: i16) -> Option<(i16, i16)> {
    ALL.iter().find(|known| known.0 == api_key).map(|Known(_, oldest, newest, _)| (*oldest, *newest))
}

/// Whether a response's body may be decoded; the error is what is wrong with it.
pub(in crate::wire) fn judge(api_key: i16, version: i16, body: &[u8]) -> Result<(), &'static str> {
    let known = ALL.iter().find(|known| known.0 == api_key && (known.1..=known.2).contains(&version));
    let Some(Known(.., form)) = known else { return Err("no such answer is taken from a peer") };
    if api_key != FETCH_KEY && body.len() > BODY_BYTES_MAX {
        return Err("it is too large");
    }
    if fits_within(body, form, version, ELEMENTS_MAX, UNKNOWN_TAGS_MAX) {
        Ok(())
    } else {
        Err("it has not the form of a response")
    }
}
