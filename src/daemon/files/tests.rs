use super::*;

#[test]
fn callers_get_a_share_of_the_open_files() {
    assert_eq!(connections_max(None), 2_048);
    assert_eq!(connections_max(Some(1_048_576)), 2_048);
    assert_eq!(connections_max(Some(4_096)), 1_024);
    assert_eq!(connections_max(Some(100)), 64);
}
