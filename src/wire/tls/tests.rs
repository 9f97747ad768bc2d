use std::time::Duration;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::tasks::TaskGroup;
use crate::types::Secret;
use crate::wire::dial::{Dial, TcpDialer};
use crate::wire::tests::fake::FakeBroker;
use crate::wire::{BrokerAddress, Connection, Settings, WireError};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, uuid::Uuid::new_v4().to_string());
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key as PEM.
fn issue(authority: &Authority, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    adjust(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A TLS listener that answers the version exchange and one heartbeat. Ends when the group is dropped.
struct Listener {
    address: BrokerAddress,
    tasks: TaskGroup,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn listen((certificate, key): &(String, String), clients: Option<&Authority>) -> Listener {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = match clients {
        None => builder.unwrap().with_no_client_auth(),
        Some(authority) => {
            let roots = Arc::new(roots_of(authority.pem().as_bytes()).unwrap());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
            builder.unwrap().with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates(certificate.as_bytes(), "test").unwrap();
    let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = TaskGroup::new();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tasks.spawn_until_stopped("listener", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut broker = FakeBroker { stream };
            let Some(request) = broker.next().await else { continue };
            broker.answer(&request, &crate::wire::tests::fake::all_versions()).await;
            if let Some(request) = broker.next().await {
                broker.answer(&request, &HeartbeatResponse::default()).await;
            }
        }
    });
    Listener { address: BrokerAddress { host: "localhost".to_owned(), port }, tasks }
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the settings want")]
fn inline(text: &str) -> Option<PemSource> {
    Some(PemSource::Inline(Secret::new(text.to_owned())))
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { ca: inline(&authority.pem()), certificate: None, key: None, is_hostname_checked: true }
}

fn unchecked(authority: &Authority) -> TlsSettings {
    TlsSettings { is_hostname_checked: false, ..trusting(authority) }
}

fn dialer(tls: Option<TlsSettings>) -> TcpDialer {
    let settings = Settings { tls, connect_timeout: Duration::from_secs(20), ..Settings::plain(vec![], "test") };
    TcpDialer::new(Arc::new(settings))
}

async fn attempt(listener: &Listener, tls: TlsSettings) -> Result<Connection, WireError> {
    dialer(Some(tls)).dial(&listener.address, None).await
}

async fn refusal(listener: &Listener, tls: TlsSettings) -> String {
    match attempt(listener, tls).await.unwrap_err() {
        WireError::Tls { address, reason } => {
            assert_eq!(address, listener.address.to_string());
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_trusted_broker_is_spoken_to() {
    let authority = authority();
    let listener = listen(&issue(&authority, "localhost", |_| {}), None).await;
    let connection = attempt(&listener, trusting(&authority)).await.unwrap();
    connection.call(&HeartbeatRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_cause_of_a_refusal_is_named() {
    let ours = authority();
    let listener = listen(&issue(&ours, "localhost", |_| {}), None).await;
    let reason = refusal(&listener, trusting(&authority())).await;
    assert!(reason.contains("unknown authority"), "{reason}");

    let reason = refusal(&listener, TlsSettings { certificate: inline("x"), ..trusting(&ours) }).await;
    assert!(reason.contains("without its private key"), "{reason}");
    let reason = refusal(&listener, TlsSettings { ca: inline("no certificate"), ..trusting(&ours) }).await;
    assert!(reason.contains("no PEM certificate"), "{reason}");
    let missing = Some(PemSource::File("/no/such/file.pem".into()));
    let reason = refusal(&listener, TlsSettings { ca: missing, ..trusting(&ours) }).await;
    assert!(reason.contains("/no/such/file.pem"), "{reason}");
    let (certificate, _) = issue(&ours, "client", |_| {});
    let (_, other_key) = issue(&ours, "client", |_| {});
    let mixed = TlsSettings { certificate: inline(&certificate), key: inline(&other_key), ..trusting(&ours) };
    let reason = refusal(&listener, mixed).await;
    assert!(reason.contains("our certificate and key"), "{reason}");

    let expired = issue(&ours, "localhost", |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let reason = refusal(&listen(&expired, None).await, trusting(&ours)).await;
    assert!(reason.contains("expired"), "{reason}");
    let early = issue(&ours, "localhost", |params| params.not_before = rcgen::date_time_ymd(2999, 1, 1));
    let reason = refusal(&listen(&early, None).await, trusting(&ours)).await;
    assert!(reason.contains("not valid yet"), "{reason}");
}

#[tokio::test]
async fn the_name_is_checked_unless_that_is_switched_off() {
    let ours = authority();
    let listener = listen(&issue(&ours, "kafka.example", |_| {}), None).await;
    let reason = refusal(&listener, trusting(&ours)).await;
    assert!(reason.contains("kafka.example") && reason.contains("localhost"), "{reason}");
    attempt(&listener, unchecked(&ours)).await.unwrap();
    // The chain is still checked.
    let reason = refusal(&listener, unchecked(&authority())).await;
    assert!(reason.contains("unknown authority"), "{reason}");
    let expired = issue(&ours, "kafka.example", |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let reason = refusal(&listen(&expired, None).await, unchecked(&ours)).await;
    assert!(reason.contains("expired"), "{reason}");
}

#[tokio::test]
async fn a_broker_may_want_our_certificate() {
    let (ours, clients) = (authority(), authority());
    let listener = listen(&issue(&ours, "localhost", |_| {}), Some(&clients)).await;
    let (certificate, key) = issue(&clients, "causeway", |_| {});
    let with = TlsSettings { certificate: inline(&certificate), key: inline(&key), ..trusting(&ours) };
    attempt(&listener, with).await.unwrap();
    let reason = refusal(&listener, trusting(&ours)).await;
    assert!(reason.contains("refused us or our certificate"), "{reason}");
    let (certificate, key) = issue(&authority(), "causeway", |_| {});
    let stranger = TlsSettings { certificate: inline(&certificate), key: inline(&key), ..trusting(&ours) };
    let reason = refusal(&listener, stranger).await;
    assert!(reason.contains("refused us or our certificate"), "{reason}");
}

#[tokio::test]
async fn a_changed_file_is_seen_by_the_next_connection_and_an_unchanged_one_costs_nothing() {
    let ours = authority();
    let listener = listen(&issue(&ours, "localhost", |_| {}), None).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority().pem()).unwrap();
    let settings = TlsSettings { ca: Some(PemSource::File(file.path().to_owned())), ..trusting(&ours) };
    let dialer = dialer(Some(settings.clone()));
    assert!(matches!(dialer.dial(&listener.address, None).await, Err(WireError::Tls { .. })));
    std::fs::write(file.path(), ours.pem()).unwrap();
    dialer.dial(&listener.address, None).await.unwrap();

    let tls = Tls::new(settings);
    let (first, second) = (tls.config().await.unwrap(), tls.config().await.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    std::fs::write(file.path(), format!("{}{}", ours.pem(), authority().pem())).unwrap();
    assert!(!Arc::ptr_eq(&first, &tls.config().await.unwrap()));
}

#[tokio::test]
async fn plain_text_on_one_side_only_is_told() {
    let ours = authority();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    let tasks = TaskGroup::new();
    tasks.spawn_until_stopped("plain listener", async move {
        while let Ok((stream, _)) = plain.accept().await {
            drop(stream);
        }
    });
    let address = BrokerAddress { host: "127.0.0.1".to_owned(), port };
    let reason = refusal(&Listener { address, tasks }, trusting(&ours)).await;
    assert!(reason.contains("plain-text listener"), "{reason}");
    let listener = listen(&issue(&ours, "localhost", |_| {}), None).await;
    let error = dialer(None).dial(&listener.address, None).await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
}
