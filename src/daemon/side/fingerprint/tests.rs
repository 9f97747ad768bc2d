use std::path::Path;

use super::Fingerprint;
use crate::config::Config;
use crate::daemon::settings;

fn config(folder: &Path) -> Config {
    let text = format!(
        r#"
[cluster.a]
bootstrap.servers = "a:9092"
[cluster.b]
bootstrap.servers = "b:9092"
security.protocol = "SASL_SSL"
sasl.mechanism    = "SCRAM-SHA-512"
sasl.username     = "causeway"
sasl.password     = {{ file = "{0}/password" }}
ssl.ca.location   = "{0}/ca.pem"
[link.l]
source = "a"
target = "b"
[[link.l.topics]]
match = ".*"
"#,
        folder.display()
    );
    Config::parse(&text, Path::new("causeway.toml")).unwrap()
}

/// What a look at the target's secrets says.
fn look(config: &Config) -> Result<Fingerprint, String> {
    let cluster = config.clusters.values().find(|cluster| cluster.name.as_str() == "b").unwrap();
    let settings = settings::store(&config.daemon, cluster).map_err(|error| error.to_string())?;
    Fingerprint::of(&settings.kafka_properties).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_changed_password_or_certificate_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("password", "first\n");
    write("ca.pem", "one CA");
    let config = config(folder.path());
    let first = look(&config).unwrap();
    assert_eq!(look(&config).unwrap(), first);
    // The line's end is not part of the password.
    write("password", "first");
    assert_eq!(look(&config).unwrap(), first);

    write("password", "second");
    let second = look(&config).unwrap();
    assert_ne!(second, first);
    write("ca.pem", "another CA");
    let third = look(&config).unwrap();
    assert_ne!(third, second);
    assert_ne!(third, first);

    write("password", "first");
    write("ca.pem", "one CA");
    assert_eq!(look(&config).unwrap(), first);
}

#[tokio::test]
async fn an_unreadable_file_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("password", "a-password");
    let config = config(folder.path());
    let error = look(&config).unwrap_err();
    assert!(error.contains("ca.pem") && !error.contains("a-password"), "{error}");
    write("ca.pem", "one CA");
    look(&config).unwrap();
    std::fs::remove_file(folder.path().join("password")).unwrap();
    assert!(look(&config).unwrap_err().contains("password"));
}

#[test]
fn parts_do_not_run_into_each_other() {
    let of = |properties: &[(&str, &str)]| {
        let owned: Vec<_> = properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Fingerprint::of(&owned).unwrap()
    };
    assert_ne!(of(&[("ab", "c")]), of(&[("a", "bc")]));
    assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "b")]));
    // Wherever the system's certificates are, they are not read here.
    of(&[("ssl.ca.location", "probe")]);
}
