use super::how_many_fit;

#[test]
fn long_lines_take_several_rows() {
    assert_eq!(how_many_fit(&["", "a", "b"], 10, 4), 3);
    assert_eq!(how_many_fit(&["", "a", "b"], 10, 3), 1, "a row for the note, one for the cursor");
    assert_eq!(how_many_fit(&["0123456789", "01234567890", "b"], 10, 5), 3);
    assert_eq!(how_many_fit(&["0123456789", "01234567890", "b"], 10, 4), 1);
    assert_eq!(how_many_fit(&["a"; 50], 0, 0), 0);
}
