use super::*;

#[test]
fn the_largest_maps_give_up_and_small_ones_keep_all() {
    assert_eq!(share(vec![5, 5, 5], 15), usize::MAX);
    assert_eq!(share(vec![1, 100, 100], 101), 50);
    assert_eq!(share(vec![1_000, 2, 10, 600], 1_012), 500);
    assert_eq!(share(vec![1_000, 2, 10, 600], 620), 304);
    assert_eq!(share(vec![7, 9], 0), 1);
    assert_eq!(share(vec![], 0), usize::MAX);
}
