//! The token of OAUTHBEARER, and what is printed.

use base64::engine::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::context::Access;
use super::token::{Claims, TokenError, describe, read};
use crate::secrets::SecretSource;
use crate::types::Secret;

const NOW_MS: i64 = 1_700_000_000_000;
const FIVE_MINUTES_MS: i64 = 300_000;

fn jwt(claims: &str) -> String {
    format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_jwt_names_its_principal_and_its_end() {
    let claims = Claims::of(&jwt(r#"{"sub":"dave","exp":1700000060}"#));
    assert_eq!(claims, Claims { subject: Some("dave".to_owned()), expires_at_ms: Some(1_700_000_060_000) });
    let token = describe(&jwt(r#"{"sub":"dave","exp":1700000060}"#), NOW_MS).unwrap();
    assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("dave", NOW_MS + 60_000));
    // RFC 7519 allows a fraction.
    let token = describe(&jwt(r#"{"exp":1700000060.9}"#), NOW_MS).unwrap();
    assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("causeway", NOW_MS + 60_000));
}

#[test]
fn every_token_is_read_again_soon() {
    let far = format!(r#"{{"sub":"dave","exp":{}}}"#, i64::MAX);
    for text in ["opaque", "a.b.c", "..", &jwt("[1]"), &jwt(r#"{"exp":"soon"}"#), &jwt(&far)] {
        let token = describe(text, NOW_MS).unwrap();
        assert_eq!((token.token.as_str(), token.lifetime_ms), (text, NOW_MS + FIVE_MINUTES_MS));
    }
    let odd = describe(&jwt(r#"{"sub":"a\u0000b"}"#), NOW_MS).unwrap();
    assert_eq!(odd.principal_name, "causeway");
}

#[test]
fn what_can_not_be_shown_is_an_error_without_the_token() {
    let expired = describe(&jwt(r#"{"sub":"dave","exp":1699999990}"#), NOW_MS).map(|_| ()).unwrap_err();
    assert_eq!(expired.to_string(), "the token for OAUTHBEARER expired 10 s ago");
    assert!(matches!(describe("", NOW_MS), Err(TokenError::Empty)));
    assert!(matches!(read(None), Err(TokenError::Missing)));
}

#[test]
fn a_changed_file_is_seen() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let source = SecretSource::File(file.path().to_owned());
    for text in ["first\n", "second\n"] {
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(read(Some(&source)).unwrap().token, text.trim_end());
    }
    let gone = SecretSource::File(file.path().join("gone"));
    assert!(read(Some(&gone)).map(|_| ()).unwrap_err().to_string().contains("gone"));
}

#[test]
fn secrets_are_not_printed() {
    let token = SecretSource::Literal(Secret::new("a-token".to_owned()));
    let access = Access::new(vec![("sasl.password".to_owned(), "a-password".to_owned())], Some(token));
    let printed = format!("{access:?}");
    assert!(printed.contains("sasl.password") && !printed.contains("a-password") && !printed.contains("a-token"));
}
