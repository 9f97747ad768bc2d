use super::*;

#[test]
fn a_batch_of_filler_is_small_old_and_full() {
    let prepared = make_filler(FILLER_RECORDS).unwrap();
    assert_eq!(u64::from(prepared.record_count), FILLER_RECORDS);
    assert_eq!(prepared.max_timestamp, 0);
    assert!(prepared.byte_len() < 100_000, "{}", prepared.byte_len());
    assert_eq!(make_filler(1).unwrap().record_count, 1);
    assert!(make_filler(0).is_none());
}
