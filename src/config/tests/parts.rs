//! Quantities, JAAS configurations and excerpts alone.

use super::*;
use crate::config::excerpt::excerpt;
use crate::config::jaas;
use crate::config::quantity::{duration, rate, show_duration, show_rate, show_size, size, timestamp};

#[test]
fn quantities_have_units() {
    assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
    assert_eq!(duration(" 500 ms "), Ok(Duration::from_millis(500)));
    assert_eq!(duration("1.5h"), Ok(Duration::from_mins(90)));
    assert_eq!(size("64 MiB"), Ok(64 << 20));
    assert_eq!(size("64MB"), Ok(64_000_000));
    assert_eq!(size("0.1 MB"), Ok(100_000));
    assert_eq!(size("1_000 B"), Ok(1_000));
    assert_eq!(rate("50 MB/s"), Ok(50_000_000));
    assert_eq!(rate("400 Mbit/s"), Ok(50_000_000));
    for bad in [
        "",
        "s",
        "ten s",
        "-1s",
        "1. s",
        ".5 s",
        "1.2.3 s",
        "1",
        "1 x",
        "99999999999999999999 s",
        "18446744073709551615 d",
    ] {
        assert!(duration(bad).is_err(), "{bad}");
    }
    assert_eq!(rate("50 Mb/s").unwrap_err().0, "`Mb/s` is not a unit of a rate");
    assert_eq!(size("99999999999 TB").unwrap_err().0, "`99999999999 TB` is too large");
}

#[test]
fn quantities_are_shown_as_people_write_them() {
    assert_eq!(show_size(64 << 20), "64 MiB");
    assert_eq!(show_size(1_500), "1500 B");
    assert_eq!(show_size(0), "0 B");
    assert_eq!(show_rate(50_000_000), "50 MB/s");
    assert_eq!(show_rate(u64::MAX), "18446744073709551615 B/s");
    assert_eq!(show_duration(Duration::from_millis(1_500)), "1500 ms");
    assert_eq!(show_duration(Duration::from_hours(1)), "1 h");
}

#[test]
fn times_need_a_zone() {
    let time = |text: &str| timestamp(&text.parse().unwrap());
    assert_eq!(time("1970-01-01T00:00:00Z"), Ok(0));
    assert_eq!(time("2026-01-31T00:00:00Z"), Ok(1_769_817_600_000));
    assert_eq!(time("2024-02-29T23:59:59.789+01:00"), Ok(1_709_247_599_789));
    assert_eq!(time("2000-03-01T00:00:00-00:30"), Ok(951_870_600_000));
    assert_eq!(time("9999-12-31T23:59:59Z"), Ok(253_402_300_799_000));
    for bad in ["2026-01-31", "2026-01-31T00:00:00", "00:00:00", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01"] {
        assert!(time(bad).is_err(), "{bad}");
    }
}

#[test]
fn jaas_configurations_hold_a_login() {
    let login = |is_scram, username: &str, password: &str| {
        Ok(jaas::Login { is_scram, username: username.to_owned(), password: Secret::new(password.to_owned()) })
    };
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"p\";";
    assert_eq!(jaas::parse(plain), login(false, "u", "p"));
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required\n  username=\"a\\\"b\"\n  password='p w=\\'x;' ;\n";
    assert_eq!(jaas::parse(scram), login(true, "a\"b", "p w='x;"));
    assert_eq!(
        jaas::parse("PlainLoginModule REQUIRED password=p username=u serviceName=\"k\";"),
        login(false, "u", "p")
    );
    for (bad, sentence) in [
        ("", "`sasl.jaas.config` doesn't end with `;`"),
        ("PlainLoginModule required username=\"u\" password=\"p\"", "`sasl.jaas.config` doesn't end with `;`"),
        (
            "PlainLoginModule username=\"u\" password=\"p\";",
            "`sasl.jaas.config` needs `required` after the login module",
        ),
        ("PlainLoginModule required username=\"u\";", "`sasl.jaas.config` has no `password`"),
        ("PlainLoginModule required password=\"u\";", "`sasl.jaas.config` has no `username`"),
        (
            "PlainLoginModule required username=\"u;",
            "`sasl.jaas.config` has options that are not of the form key=\"value\"",
        ),
        (
            "ScramLoginModule required tokenauth=true username=u password=p;",
            "`sasl.jaas.config` asks for delegation tokens (`tokenauth`), which are not supported",
        ),
        (
            "x.OAuthBearerLoginModule required;",
            "`sasl.jaas.config` names `OAuthBearerLoginModule`, which is not supported",
        ),
        (
            "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true;",
            "`sasl.jaas.config` names `Krb5LoginModule`, which is not supported",
        ),
    ] {
        assert_eq!(jaas::parse(bad).unwrap_err().0, sentence, "{bad}");
    }
}

#[test]
fn excerpts_hide_what_could_be_a_secret() {
    for (line, shown) in [
        ("  group = \"x\" # note", "  group = \"x\" # note"),
        ("sasl.password = \"hunter2\"", "sasl.password = …"),
        ("sasl.pasword= 'hunter2'", "sasl.pasword= …"),
        ("api_token = { file = \"/x\" }", "api_token = { file = \"/x\" }"),
        ("api_token = { fiel = \"hunter2\" }", "api_token = { fiel = …"),
        (
            "a = { sasl.username = \"a=b\", sasl.password = \"hunter2\" }",
            "a = { sasl.username = \"a=b\", sasl.password = …",
        ),
        ("sasl.username = \"a\\\"=b\" # password=hunter2", "sasl.username = \"a\\\"=b\" # password= …"),
        ("\"sasl.password\" = \"hunter2\"", "\"sasl.password\" = …"),
        ("cluster.a.client.id = \"x\"", "cluster.a.client.id = \"x\""),
        ("sasl.jaas.config = \"PlainLoginModule required password='hunter2';\"", "sasl.jaas.config = …"),
        ("[link.x]", "[link.x]"),
    ] {
        assert_eq!(excerpt(line, false), shown, "{line}");
        assert_eq!(excerpt(line, true), shown, "{line}");
    }
    assert_eq!(excerpt("hunter2\\q", true), "…", "inside a string of several lines");
    assert_eq!(excerpt("\"tmp.*\",", false), "\"tmp.*\",");
}

#[test]
fn local_writers_are_a_setting_of_an_entry_that_all_daemons_must_agree_on() {
    let entry = "match = \"x\"\n";
    let text = |entry: &str| {
        format!(
            "cluster.a.bootstrap.servers = \"a:1\"\ncluster.b.bootstrap.servers = \"b:1\"\n[link.l]\n\
             source = \"a\"\ntarget = \"b\"\noffsets = \"translate\"\n[[link.l.topics]]\n{entry}"
        )
    };
    let without = good(&text(entry));
    let with = good(&text(&format!("{entry}local_writers = true\n")));
    assert!(!only_link(&without).topics.entries()[0].has_local_writers);
    assert!(only_link(&with).topics.entries()[0].has_local_writers);
    assert_ne!(only_link(&without).digest, only_link(&with).digest);
}
