//! Certificates and users of a secured cluster.
//!
//! Owns: private certificate authorities made for one test, the brokers' and the clients' certificates, users, tokens.
//! Promises: nothing in it is used outside one test run.
//! Does not know: brokers' ports, ACLs (those are [`crate::admin`]'s).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::process::write_private;

/// The mechanisms that a secured listener offers.
const MECHANISMS: [&str; 4] = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"];
/// Where a node keeps the authorities whose clients it lets in by certificate.
const CLIENT_AUTHORITIES: &str = "clients.pem";

/// A certificate authority.
pub struct Authority {
    /// Its certificate in PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL sends along whatever trusted certificate has the issuer's name: two authorities must not share one.
        params.distinguished_name.push(DnType::CommonName, format!("causeway tests {}", uuid::Uuid::new_v4()));
        let pem = params.self_signed(&key).expect("a CA certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes the certificate and the key of a client into `folder`, over those that are there: `client.pem` and
    /// `client.key`. A broker calls it `CN=` and its name.
    pub fn write_client(&self, folder: &Path, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(folder.join("client.pem"), certificate.pem()).expect("the client's certificate");
        write_private(&folder.join("client.key"), &key.serialize_pem());
    }
}

/// What `SASL_SSL`, and `SSL` with client certificates, need on both sides.
pub struct Security {
    /// The authority of the brokers' certificate, in PEM.
    pub ca_pem: String,
    /// The authority that the clients' certificates come from at first.
    pub clients: Authority,
    /// Names and passwords, for every mechanism that has passwords.
    pub users: Vec<(String, String)>,
    super_users: Vec<String>,
    keystore_pem: String,
}

impl Security {
    /// New authorities, a certificate for the loopback address, and these users.
    pub fn new(users: &[(&str, &str)]) -> Self {
        let authority = Authority::new();
        let key = KeyPair::generate().expect("a key");
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate =
            CertificateParams::new(names).expect("names").signed_by(&key, &authority.issuer).expect("a certificate");
        let keystore_pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        let users = users.iter().map(|(u, p)| ((*u).to_owned(), (*p).to_owned())).collect();
        let super_users = vec!["User:ANONYMOUS".to_owned()];
        Self { ca_pem: authority.pem, clients: Authority::new(), users, super_users, keystore_pem }
    }

    /// One more principal that may do everything, such as `User:CN=causeway`.
    pub fn super_user(mut self, principal: &str) -> Self {
        self.super_users.push(principal.to_owned());
        self
    }

    /// The broker's side. Clients of the side door are nobody in particular, and may do everything.
    pub fn broker_properties(&self, home: &Path) -> Vec<(String, String)> {
        let keystore = home.join("keystore.pem");
        fs::write(&keystore, &self.keystore_pem).expect("the key store");
        let_clients_in(home, &[&self.clients]);
        let mut all = Vec::new();
        let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
        for listener in ["client", "mutual"] {
            set(&format!("listener.name.{listener}.ssl.keystore.type"), "PEM");
            set(&format!("listener.name.{listener}.ssl.keystore.location"), &keystore.display().to_string());
        }
        set("listener.name.mutual.ssl.client.auth", "required");
        set("listener.name.mutual.ssl.truststore.type", "PEM");
        set("listener.name.mutual.ssl.truststore.location", &home.join(CLIENT_AUTHORITIES).display().to_string());
        set("listener.name.client.sasl.enabled.mechanisms", &MECHANISMS.join(","));
        for mechanism in MECHANISMS {
            let name = format!("listener.name.client.{}.sasl.jaas.config", mechanism.to_lowercase());
            set(&name, &self.login_module(mechanism));
        }
        // Tokens expire, and a broker that has not seen the next one in time hangs up.
        set("listener.name.client.oauthbearer.connections.max.reauth.ms", "10000");
        set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
        set("super.users", &self.super_users.join(";"));
        all
    }

    fn login_module(&self, mechanism: &str) -> String {
        let package = "org.apache.kafka.common.security";
        match mechanism {
            "PLAIN" => {
                let users: Vec<String> = self.users.iter().map(|(u, p)| format!("user_{u}=\"{p}\"")).collect();
                format!("{package}.plain.PlainLoginModule required {};", users.join(" "))
            }
            "OAUTHBEARER" => format!("{package}.oauthbearer.OAuthBearerLoginModule required;"),
            _ => format!("{package}.scram.ScramLoginModule required;"),
        }
    }

    /// The lines of a client's configuration, for a user and with the CA in `folder`. They are the same for rdkafka
    /// and for `causeway.toml`.
    pub fn client_properties(&self, folder: &Path, user: &str) -> Vec<(String, String)> {
        self.sasl_properties(folder, "SCRAM-SHA-512", user)
    }

    /// The same with a mechanism that has passwords.
    pub fn sasl_properties(&self, folder: &Path, mechanism: &str, user: &str) -> Vec<(String, String)> {
        let password = &self.users.iter().find(|(name, _)| name == user).expect("a user of this cluster").1;
        let mut lines = self.bare_properties(folder, mechanism);
        lines.push(("sasl.username".into(), user.into()));
        lines.push(("sasl.password".into(), password.clone()));
        lines
    }

    /// The lines that every mechanism has.
    pub fn bare_properties(&self, folder: &Path, mechanism: &str) -> Vec<(String, String)> {
        vec![
            ("security.protocol".into(), "SASL_SSL".into()),
            ("sasl.mechanism".into(), mechanism.into()),
            ("ssl.ca.location".into(), self.write_ca(folder).display().to_string()),
        ]
    }

    /// The lines of a client that shows the certificate in `folder`.
    pub fn mutual_properties(&self, folder: &Path) -> Vec<(String, String)> {
        let file = |name: &str| folder.join(name).display().to_string();
        vec![
            ("security.protocol".into(), "SSL".into()),
            ("ssl.ca.location".into(), self.write_ca(folder).display().to_string()),
            ("ssl.certificate.location".into(), file("client.pem")),
            ("ssl.key.location".into(), file("client.key")),
        ]
    }

    fn write_ca(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        fs::write(&file, &self.ca_pem).expect("the CA file");
        file
    }
}

/// From its next start on, a node whose files are in `home` lets in the clients of these authorities, and no others.
pub fn let_clients_in(home: &Path, authorities: &[&Authority]) {
    let pem: String = authorities.iter().map(|a| a.pem.as_str()).collect();
    fs::write(home.join(CLIENT_AUTHORITIES), pem).expect("the clients' authorities");
}

/// Writes an unsigned token for OAUTHBEARER that is good for so long; readers see the old one or the new one.
pub fn write_token(file: &Path, user: &str, lifetime: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let (issued, expires) = (now.as_secs(), (now + lifetime).as_secs());
    let claims = format!(r#"{{"sub":"{user}","iat":{issued},"exp":{expires}}}"#);
    let token = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
    let fresh = file.with_extension("fresh");
    write_private(&fresh, &token);
    fs::rename(&fresh, file).expect("the token file");
}
