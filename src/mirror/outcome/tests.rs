use super::*;

#[test]
fn refusals_are_told_from_passing_states() {
    assert_eq!(answer_of(0), Answer::Done);
    for code in [-1, 3, 6, 7, 19, 20, 45, 56, 100] {
        assert_eq!(answer_of(code), Answer::Look, "{code}");
    }
    assert_eq!(answer_of(10), Answer::Refused(Refusal::TooLarge));
    assert_eq!(answer_of(87), Answer::Refused(Refusal::Record));
    assert_eq!(answer_of(29), Answer::Forbidden);
    assert_eq!(answer_of(47), Answer::Fenced);
}

#[test]
fn only_code_0_is_ever_done() {
    for code in (-1..=200).filter(|code| *code != 0) {
        assert_ne!(answer_of(code), Answer::Done, "{code}");
    }
}
