//! What a session moves over a long line. Two processes: `PEER_SPEED=listen:ADDRESS` and `PEER_SPEED=dial:ADDRESS`,
//! with a folder for their keys in `PEER_SPEED_KEYS`; the dialler prints the figures.

use std::path::Path;
use std::time::{Duration, Instant};

use super::tls::{Own, secured, self_signed, start};
use super::*;

fn keys(folder: &Path, name: &str) -> Own {
    let at = |what: &str| folder.join(format!("{name}.{what}"));
    if !at("pin").exists() {
        self_signed().save([&at("pem"), &at("key"), &at("pin")]);
    }
    Own::load([&at("pem"), &at("key"), &at("pin")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; needs two processes and a line between them"]
async fn speed_of_a_session() {
    let (role, address) =
        std::env::var("PEER_SPEED").unwrap().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let folder = std::env::var("PEER_SPEED_KEYS").unwrap();
    let [cloud, onprem] = ["cloud", "onprem"].map(|name| keys(Path::new(&folder), name));
    let connections = std::env::var("PEER_SPEED_CONNECTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    if role == "listen" {
        let settings = Settings { listen: Some(address), ..secured("c", &cloud, "onprem", &onprem.pin) };
        let _peers = start(settings).await;
        return std::future::pending().await;
    }
    let mut settings = secured("o", &onprem, "cloud", &cloud.pin);
    settings.peers[0].connect = vec![Address::parse(&address).unwrap()];
    settings.peers[0].connections = connections;
    let peers = start(settings).await;
    until(|| up(&peers) == connections).await;
    println!("{connections} connections are up");
    let cloud = peer_name("cloud");
    for _ in 0..connections {
        let stream = peers.open(&cloud, Class::Bulk, &Bytes::from_static(b"pour")).unwrap();
        peers.directory.tasks.spawn_until_stopped("pour", async move {
            let (mut reader, _writer) = stream.into_split();
            while let Ok(Some(_)) = reader.chunk(1 << 20).await {}
        });
    }
    let received = || peers.status()[0].sessions.iter().map(|session| session.bytes_received).sum::<u64>();
    let mut longest = Duration::ZERO;
    for second in 1..=10 {
        let (before, began) = (received(), Instant::now());
        while began.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            let mut stream = peers.open(&cloud, Class::Control, &Bytes::from_static(b"echo")).unwrap();
            echo(&mut stream, "quick").await.unwrap();
            if second > 3 {
                longest = longest.max(asked.elapsed());
            }
        }
        let rate = (received() - before) / u64::try_from(began.elapsed().as_millis()).unwrap() / 1000;
        let session = &peers.status()[0].sessions[0];
        println!(
            "second {second}: {rate} MB/s, round trip {:?}, credit {} MB",
            session.round_trip,
            session.credit_bytes >> 20
        );
    }
    println!("longest control question under load: {longest:?}");
}
