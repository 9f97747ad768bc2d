use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{read, settings, start};
use crate::api::fake::FakeBackend;
use crate::api::{ApiStartError, TlsFiles, serve};
use crate::secrets::SecretSource;
use crate::tasks::TaskGroup;

#[tokio::test]
async fn the_api_speaks_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (files, certificate) = write_certificate(folder.path());
    let mut settings = settings();
    settings.tls = Some(files);
    let server = start(settings).await;

    let mut stream = connect(server.address, certificate).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(read(stream).await.status, 200);

    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "nothing is answered in the clear");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_certificate(folder.path());
    let mut settings = settings();
    settings.tls = Some(files);
    settings.limits.certificate_interval = Duration::from_millis(10);
    let server = start(settings).await;
    let (_, renewed) = write_certificate(folder.path());
    while connect(server.address, renewed.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_certificate_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = write_certificate(folder.path());
    let error = async |files: TlsFiles| {
        let mut settings = settings();
        settings.tls = Some(files);
        let error = serve(settings, Arc::new(FakeBackend::default()), &TaskGroup::new()).await.unwrap_err();
        assert!(matches!(error, ApiStartError::Tls(_)) && error.is_configuration());
        error.to_string()
    };
    let missing = error(TlsFiles { certificate: folder.path().join("none.pem"), ..files.clone() }).await;
    assert!(missing.contains("none.pem"), "{missing}");
    let swapped = TlsFiles { certificate: folder.path().join("key.pem"), ..files.clone() };
    let swapped = error(swapped).await;
    assert!(swapped.contains("key.pem holds no certificate"), "{swapped}");
    let no_key = TlsFiles { key: SecretSource::File(folder.path().join("certificate.pem")), ..files };
    let no_key = error(no_key).await;
    assert!(no_key.contains("not a private key"), "{no_key}");
}

/// Trusts this certificate only.
async fn connect(address: SocketAddr, certificate: CertificateDer<'static>) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

fn write_certificate(folder: &std::path::Path) -> (TlsFiles, CertificateDer<'static>) {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files =
        TlsFiles { certificate: folder.join("certificate.pem"), key: SecretSource::File(folder.join("key.pem")) };
    std::fs::write(&files.certificate, signed.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    (files, signed.cert.der().clone())
}
