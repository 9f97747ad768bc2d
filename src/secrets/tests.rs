use super::*;

#[test]
fn a_changed_file_is_seen_and_its_line_end_cut() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = SecretSource::File(file.path().to_owned());
    std::fs::write(file.path(), "one\n").unwrap();
    assert_eq!(source.read().unwrap().reveal(), "one");
    std::fs::write(file.path(), "two\r\n").unwrap();
    assert_eq!(source.read().unwrap().reveal(), "two");
}

#[test]
fn errors_name_the_place() {
    let missing = SecretSource::File("/nowhere/at-all".into()).read().unwrap_err();
    assert!(missing.to_string().contains("/nowhere/at-all"));
    let unset = SecretSource::Env("CAUSEWAY_SURELY_NOT_SET".to_owned()).read().unwrap_err();
    assert!(unset.to_string().contains("CAUSEWAY_SURELY_NOT_SET"));
}
