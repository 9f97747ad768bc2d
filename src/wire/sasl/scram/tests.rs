use super::*;

/// The example of RFC 7677.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn scram(hash: Hash) -> Scram {
    let nonce = STANDARD.decode(CLIENT_NONCE).unwrap();
    Scram::new(hash, "user", Secret::new("pencil".to_owned()), &nonce)
}

fn refusal(server_first: &str) -> ScramError {
    match scram(Hash::Sha256).answer(server_first) {
        Ok(_) => panic!("accepted {server_first}"),
        Err(error) => error,
    }
}

#[test]
fn the_example_of_the_standard_comes_out() {
    let scram = scram(Hash::Sha256);
    assert_eq!(scram.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let (message, expected) = scram.answer(SERVER_FIRST).unwrap();
    let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(message, format!("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={proof}"));
    assert_eq!(expected.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
    assert_eq!(expected.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="), Err(ScramError::Signature));
    assert_eq!(expected.check("v=6rri"), Err(ScramError::Signature));
    assert_eq!(expected.check("v=!"), Err(ScramError::Unreadable('v')));
    assert_eq!(expected.check(""), Err(ScramError::Unreadable('v')));
    assert_eq!(expected.check("e=other-error"), Err(ScramError::Refused("other-error".to_owned())));
}

#[test]
fn servers_that_cheat_are_refused() {
    assert_eq!(refusal("r=somebodyelse,s=W22Z,i=4096"), ScramError::Nonce);
    assert_eq!(refusal("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096"), ScramError::Nonce);
    assert_eq!(refusal("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4095"), ScramError::TooFewIterations(4_095));
    assert_eq!(refusal("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=1000001"), ScramError::TooManyIterations(1_000_001));
    assert_eq!(refusal("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=-1"), ScramError::Unreadable('i'));
    assert_eq!(refusal("r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096"), ScramError::Unreadable('s'));
    assert_eq!(refusal("s=W22Z,i=4096"), ScramError::Unreadable('r'));
    assert_eq!(refusal("m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096"), ScramError::UnknownExtension);
    assert_eq!(refusal(""), ScramError::Unreadable('r'));
}

#[test]
fn names_are_escaped_and_otherwise_left_alone() {
    let scram = Scram::new(Hash::Sha512, "a=b,c\u{1680}\u{ad}é", Secret::new(String::new()), b"n");
    assert!(scram.first_message().starts_with("n,,n=a=3Db=2Cc\u{1680}\u{ad}é,r="));
}
