//! Real TCP and TLS on loopback, certificates made on the spot.

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, uuid::Uuid::new_v4().to_string());
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Certificate, key, and what pins it.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) certificate: String,
    pub(super) key: String,
    pub(super) pin: String,
}

impl Own {
    pub(super) fn save(&self, [certificate, key, pin]: [&std::path::Path; 3]) {
        std::fs::write(certificate, &self.certificate).unwrap();
        std::fs::write(key, &self.key).unwrap();
        std::fs::write(pin, &self.pin).unwrap();
    }

    pub(super) fn load(files: [&std::path::Path; 3]) -> Self {
        let [certificate, key, pin] = files.map(|file| std::fs::read_to_string(file).unwrap());
        Self { certificate, key, pin }
    }
}

fn issued(authority: &Authority, name: &str) -> Own {
    let key = KeyPair::generate().unwrap();
    let certificate = params(name).signed_by(&key, authority).unwrap();
    own(&certificate, &key)
}

pub(super) fn self_signed() -> Own {
    let key = KeyPair::generate().unwrap();
    own(&params("whatever.example").self_signed(&key).unwrap(), &key)
}

fn expired() -> Own {
    let key = KeyPair::generate().unwrap();
    let mut params = params("whatever.example");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 2, 28);
    own(&params.self_signed(&key).unwrap(), &key)
}

fn own(certificate: &rcgen::Certificate, key: &KeyPair) -> Own {
    let pin = KeyDigest::of(&rcgen::PublicKeyData::subject_public_key_info(key)).to_string();
    Own { certificate: certificate.pem(), key: key.serialize_pem(), pin }
}

pub(super) async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(super) fn secured(instance: &str, own: &Own, peer: &str, identity: &str) -> Settings {
    let peer = PeerSettings { identity: identity.parse().unwrap(), ..of_peer(peer, &[]) };
    Settings { certificate: pem(&own.certificate), key: pem(&own.key), ..settings(instance, peer) }
}

pub(super) async fn start(settings: Settings) -> Peers {
    Peers::start(settings, Arc::new(Echo)).await.unwrap()
}

/// A listener that knows the dialler by one identity and shows one certificate, and a dialler likewise.
async fn both(cloud: Settings, onprem: Settings) -> (Peers, Peers) {
    let address = free_address().await.to_string();
    let mut onprem = onprem;
    onprem.peers[0].connect = vec![Address::parse(&address).unwrap()];
    let cloud = start(Settings { listen: Some(address), ..cloud }).await;
    (cloud, start(onprem).await)
}

async fn trouble(peers: &Peers) -> String {
    until(|| peers.status()[0].trouble.is_some()).await;
    peers.status()[0].trouble.clone().unwrap().reason
}

async fn is_served(peers: &Peers, name: &str) {
    peers.wait_for(&peer_name(name)).await.unwrap();
    let mut stream = peers.open(&peer_name(name), Class::Control, &Bytes::from_static(b"echo")).unwrap();
    assert_eq!(echo(&mut stream, "hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn pinned_keys_make_a_session() {
    let (cloud, onprem) = (self_signed(), self_signed());
    let (cloud, onprem) =
        both(secured("c", &cloud, "onprem", &onprem.pin), secured("o", &onprem, "cloud", &cloud.pin)).await;
    is_served(&onprem, "cloud").await;
    is_served(&cloud, "onprem").await;
    until(|| up(&onprem) == 4).await;
    onprem.close().await;
    until(|| up(&cloud) == 0).await;
    cloud.close().await;
}

#[tokio::test]
async fn names_of_a_trusted_authority_make_a_session() {
    let authority = authority();
    let ca = Some(pem(&authority.pem()));
    let (cloud, onprem) = (issued(&authority, "dr.example"), issued(&authority, "onprem.example"));
    let (cloud, onprem) = both(
        Settings { ca: ca.clone(), ..secured("c", &cloud, "onprem", "onprem.example") },
        Settings { ca, ..secured("o", &onprem, "cloud", "dr.example") },
    )
    .await;
    is_served(&onprem, "cloud").await;
    is_served(&cloud, "onprem").await;
}

#[tokio::test]
async fn a_name_that_somebody_else_signed_is_worth_nothing() {
    let (authority, stranger) = (authority(), authority());
    let ca = Some(pem(&authority.pem()));
    let (cloud, onprem) = (issued(&stranger, "dr.example"), issued(&authority, "onprem.example"));
    let (cloud, onprem) = both(
        Settings { ca: ca.clone(), ..secured("c", &cloud, "onprem", "onprem.example") },
        Settings { ca, ..secured("o", &onprem, "cloud", "dr.example") },
    )
    .await;
    let reason = trouble(&onprem).await;
    assert!(reason.contains("an authority that we don't trust"), "{reason}");
    assert_eq!((up(&onprem), up(&cloud)), (0, 0));
}

#[tokio::test]
async fn a_listener_with_another_identity_is_not_spoken_to() {
    let (cloud, onprem, other) = (self_signed(), self_signed(), self_signed());
    let (cloud_peers, onprem) =
        both(secured("c", &cloud, "onprem", &onprem.pin), secured("o", &onprem, "cloud", &other.pin)).await;
    let reason = trouble(&onprem).await;
    assert!(reason.contains(&cloud.pin) && reason.contains(&other.pin), "both are told: {reason}");
    assert_eq!((up(&onprem), up(&cloud_peers)), (0, 0));
}

#[tokio::test]
async fn an_unknown_dialler_is_turned_away_and_learns_little() {
    let (cloud, onprem, other) = (self_signed(), self_signed(), self_signed());
    let (cloud, onprem) =
        both(secured("c", &cloud, "onprem", &other.pin), secured("o", &onprem, "cloud", &cloud.pin)).await;
    let reason = trouble(&onprem).await;
    assert!(reason.contains("refused us or our certificate"), "{reason}");
    assert!(!reason.contains(&other.pin), "{reason}");
    assert_eq!((up(&onprem), up(&cloud)), (0, 0));
}

#[tokio::test]
async fn an_expired_certificate_is_refused_even_when_pinned() {
    let (cloud, onprem) = (expired(), self_signed());
    let (_cloud, onprem) =
        both(secured("c", &cloud, "onprem", &onprem.pin), secured("o", &onprem, "cloud", &cloud.pin)).await;
    let reason = trouble(&onprem).await;
    assert!(reason.contains("has expired"), "{reason}");
}

#[tokio::test]
async fn the_dates_of_a_certificate_are_read() {
    let der = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(
        expired().certificate.as_bytes(),
    );
    let validity = crate::peer::certificate::validity(&der.unwrap()).unwrap();
    assert_eq!(validity.not_before, 1_577_836_800);
    assert_eq!(validity.not_after, 1_614_470_400);
}

#[tokio::test]
async fn renewed_files_are_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, cloud) = (expired(), self_signed(), self_signed());
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("pem"), &old.certificate).unwrap();
    std::fs::write(at("key"), &old.key).unwrap();
    let onprem = Settings {
        certificate: PemSource::File(at("pem")),
        key: PemSource::File(at("key")),
        ..secured("o", &old, "cloud", &cloud.pin)
    };
    let (_cloud, onprem) = both(secured("c", &cloud, "onprem", &new.pin), onprem).await;
    trouble(&onprem).await;
    std::fs::write(at("pem"), &new.certificate).unwrap();
    std::fs::write(at("key"), &new.key).unwrap();
    is_served(&onprem, "cloud").await;
    assert_eq!(onprem.own_certificate().await.unwrap().identity, new.pin);
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_it_was_made_with() {
    let (cloud, onprem) = (self_signed(), self_signed());
    let onprem_key = KeyPair::from_pem(&onprem.key).unwrap();
    let mut short = params("whatever.example");
    let end = std::time::SystemTime::now() + Duration::from_secs(3);
    short.not_after = end.into();
    let short = own(&short.self_signed(&onprem_key).unwrap(), &onprem_key);
    let (cloud, onprem) =
        both(secured("c", &cloud, "onprem", &onprem.pin), secured("o", &short, "cloud", &cloud.pin)).await;
    is_served(&onprem, "cloud").await;
    let mut stream = onprem.open(&peer_name("cloud"), Class::Control, &Bytes::from_static(b"hang")).unwrap();
    let error = stream.message(10).await.unwrap_err().to_string();
    assert!(error.contains("our certificate has expired"), "{error}");
    until(|| up(&cloud) == 0).await;
}

#[tokio::test]
async fn whoever_is_taken_off_the_list_is_cut_and_stays_out_until_it_is_back() {
    let (cloud, onprem) = (self_signed(), self_signed());
    let quick = SessionLimits { handshake_max: Duration::from_secs(2), ..SessionLimits::default() };
    let listening = Settings { limits: quick, ..secured("c", &cloud, "onprem", &onprem.pin) };
    let dialling = Settings { limits: quick, ..secured("o", &onprem, "cloud", &cloud.pin) };
    let (cloud, onprem) = both(listening, dialling).await;
    is_served(&onprem, "cloud").await;
    let identity = cloud.tls.as_ref().unwrap().allowed();
    let mut stream = onprem.open(&peer_name("cloud"), Class::Control, &Bytes::from_static(b"hang")).unwrap();
    cloud.allow(&[]);
    stream.message(10).await.unwrap_err();
    until(|| up(&cloud) == 0 && up(&onprem) == 0).await;
    let said = cloud.status()[0].trouble.clone().unwrap().reason;
    assert!(said.contains("our configuration of the peer has changed"), "{said}");
    // The other side learns no more than that it was refused.
    until(|| onprem.status()[0].trouble.as_ref().is_some_and(|trouble| trouble.reason.contains("TLS"))).await;
    assert_eq!(up(&cloud), 0);
    // Under another key it is somebody else.
    cloud.allow(&[(peer_name("onprem"), self_signed().pin.parse().unwrap())]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(up(&cloud), 0);
    cloud.allow(&identity);
    // Handshakes that may have begun before the change are worth nothing yet.
    tokio::time::sleep(quick.handshake_max).await;
    until(|| up(&onprem) == 4 && up(&cloud) == 4).await;
    is_served(&onprem, "cloud").await;
}

#[tokio::test]
async fn ten_thousand_half_open_connections_keep_nobody_out() {
    let (cloud, onprem) = (self_signed(), self_signed());
    // Strangers come from other addresses than peers, or share the places of theirs.
    let limits = SessionLimits {
        handshake_max: Duration::from_secs(2),
        half_open_max: 64,
        half_open_per_address_max: 32,
        ..SessionLimits::default()
    };
    let listening = Settings { limits, ..secured("c", &cloud, "onprem", &onprem.pin) };
    let (cloud, onprem) = both(listening, secured("o", &onprem, "cloud", &cloud.pin)).await;
    is_served(&onprem, "cloud").await;
    let at = onprem.directory.peers().next().unwrap().settings.connect[0].to_string();
    let mut silent = std::collections::VecDeque::new();
    for turn in 0..10_000_u32 {
        if let Ok(stream) = TcpStream::connect(&at).await {
            silent.push_back(stream);
        }
        // Our own limit of open files is not what is tested.
        if silent.len() > 400 {
            silent.pop_front();
        }
        if turn % 2_000 == 0 {
            is_served(&onprem, "cloud").await;
        }
    }
    is_served(&cloud, "onprem").await;
    drop(silent);
    // A session that was lost meanwhile comes back.
    cloud.cut(&peer_name("onprem"));
    until(|| up(&onprem) == 4).await;
}

#[tokio::test]
async fn keys_that_are_issued_make_a_session() {
    let made = |name| {
        let issued = crate::peer::issue(name, crate::peer::Proof::SelfSigned { days: 1 }).unwrap();
        let key = issued.key.reveal().to_owned();
        Own { certificate: issued.proof, key, pin: issued.digest.to_string() }
    };
    let (cloud, onprem) = (made("dr.example"), made("onprem"));
    let pin = onprem.pin.clone();
    let (_cloud, onprem) =
        both(secured("c", &cloud, "onprem", &onprem.pin), secured("o", &onprem, "cloud", &cloud.pin)).await;
    is_served(&onprem, "cloud").await;
    assert_eq!(onprem.own_certificate().await.unwrap().identity, pin);
}

#[tokio::test]
async fn other_protocols_at_the_port_are_refused_and_peers_still_served() {
    let (cloud, onprem) = (self_signed(), self_signed());
    let (cloud, onprem) = both(
        Settings {
            limits: SessionLimits { handshake_max: Duration::from_secs(2), ..SessionLimits::default() },
            ..secured("c", &cloud, "onprem", &onprem.pin)
        },
        secured("o", &onprem, "cloud", &cloud.pin),
    )
    .await;
    let at = onprem.directory.peers().next().unwrap().settings.connect[0].to_string();
    for nonsense in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), &[0; 4096], b"\x16\x03\x01\x40\x00"] {
        let mut stream = TcpStream::connect(&at).await.unwrap();
        stream.write_all(nonsense).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        assert!(answer.len() < 100, "{answer:?}");
    }
    // Who comes and says nothing takes up no more than its share of places.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&at).await.unwrap());
    }
    is_served(&cloud, "onprem").await;
    let mut closed = 0;
    for mut stream in silent {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 10])).await;
        closed += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
    }
    assert_eq!(closed, 300);
}

#[tokio::test]
async fn a_proxy_is_gone_through() {
    let (cloud, onprem) = (self_signed(), self_signed());
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let login = Some(("user".to_owned(), Secret::new("pass".to_owned())));
    let at = Address::parse(&proxy.local_addr().unwrap().to_string()).unwrap();
    let address = free_address().await.to_string();
    let inside = address.clone();
    let tasks = TaskGroup::new();
    let of_one = tasks.clone();
    tasks.spawn_until_stopped("proxy", async move {
        loop {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let inside = inside.clone();
            of_one.spawn_until_stopped("proxied", async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                // The name is the proxy's to look up; nothing here resolves it.
                assert!(request.starts_with("CONNECT dr.invalid:9443 HTTP/1.1\r\n"), "{request}");
                if !request.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n") {
                    stream.write_all(b"HTTP/1.1 407 No\r\n\r\n").await.unwrap();
                    return;
                }
                stream.write_all(b"HTTP/1.1 200 Fine\r\nVia: x\r\n\r\n").await.unwrap();
                let mut onward = TcpStream::connect(inside).await.unwrap();
                tokio::io::copy_bidirectional(&mut stream, &mut onward).await.ok();
            });
        }
    });
    let _cloud = start(Settings { listen: Some(address), ..secured("c", &cloud, "onprem", &onprem.pin) }).await;
    let mut through = secured("o", &onprem, "cloud", &cloud.pin);
    through.peers[0].connect = vec![Address::parse("dr.invalid:9443").unwrap()];
    through.peers[0].proxy = Some(Proxy { address: at.clone(), login });
    is_served(&start(through.clone()).await, "cloud").await;
    through.peers[0].proxy = Some(Proxy { address: at, login: None });
    let reason = trouble(&start(through).await).await;
    assert!(reason.contains("it wants a user and a password"), "{reason}");
}

#[test]
fn identities_and_addresses_are_read() {
    let pin = self_signed().pin;
    assert_eq!(pin.parse::<Identity>().unwrap().to_string(), pin);
    assert_eq!("dr.example".parse::<Identity>().unwrap().to_string(), "dr.example");
    for wrong in ["sha256:12", "10.0.0.1", "", "a b", "sha256:zz"] {
        assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
    }
    assert_eq!(Address::parse("[::1]:9443").unwrap().host, "::1");
    for wrong in ["host", "host:0", ":1", "a/b:1", "::1:1", "u@h:1"] {
        assert!(Address::parse(wrong).is_none(), "{wrong}");
    }
}
