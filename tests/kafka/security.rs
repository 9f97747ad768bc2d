//! Certificates and users of a secured cluster.
//!
//! Owns: a private certificate authority made for one test, the brokers' certificate, the SCRAM users.
//! Promises: nothing in it is used outside one test run.
//! Does not know: brokers' ports, ACLs (those are [`crate::admin`]'s).

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// What `SASL_SSL` needs on both sides.
pub struct Security {
    /// The CA certificate in PEM.
    pub ca_pem: String,
    /// Names and passwords for SCRAM-SHA-512.
    pub users: Vec<(String, String)>,
    keystore_pem: String,
}

impl Security {
    /// A new CA, a certificate for the loopback address, and these users.
    pub fn new(users: &[(&str, &str)]) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::new()).expect("no names");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "causeway tests");
        let ca_pem = ca.self_signed(&ca_key).expect("a CA certificate").pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate =
            CertificateParams::new(names).expect("names").signed_by(&key, &issuer).expect("a certificate");
        let keystore_pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        let users = users.iter().map(|(u, p)| ((*u).to_owned(), (*p).to_owned())).collect();
        Self { ca_pem, users, keystore_pem }
    }

    /// The broker's side. Clients of the side door are nobody in particular, and may do everything.
    pub fn broker_properties(&self, home: &Path) -> Vec<(String, String)> {
        let keystore = home.join("keystore.pem");
        fs::write(&keystore, &self.keystore_pem).expect("the key store");
        let listener = |name: &str, value: &str| (format!("listener.name.client.{name}"), value.to_owned());
        vec![
            listener("ssl.keystore.type", "PEM"),
            listener("ssl.keystore.location", &keystore.display().to_string()),
            listener("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
            listener(
                "scram-sha-512.sasl.jaas.config",
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            ),
            ("authorizer.class.name".into(), "org.apache.kafka.metadata.authorizer.StandardAuthorizer".into()),
            ("super.users".into(), "User:ANONYMOUS".into()),
        ]
    }

    /// The lines of a client's configuration, for a user and with the CA in `folder`. They are the same for rdkafka
    /// and for `causeway.toml`.
    pub fn client_properties(&self, folder: &Path, user: &str) -> Vec<(String, String)> {
        let password = &self.users.iter().find(|(name, _)| name == user).expect("a user of this cluster").1;
        vec![
            ("security.protocol".into(), "SASL_SSL".into()),
            ("sasl.mechanism".into(), "SCRAM-SHA-512".into()),
            ("sasl.username".into(), user.into()),
            ("sasl.password".into(), password.clone()),
            ("ssl.ca.location".into(), self.write_ca(folder).display().to_string()),
        ]
    }

    fn write_ca(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        fs::write(&file, &self.ca_pem).expect("the CA file");
        file
    }
}
