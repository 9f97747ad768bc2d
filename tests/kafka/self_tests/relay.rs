//! What the relay reads and does, with an echo in the broker's place.

use crate::frame::{look, read};
use crate::relay::{PRODUCE, Relay};
use bytes::{BufMut, BytesMut};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kafka_protocol::messages::{ProduceRequest, RequestHeader, TransactionalId};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

use crate::process::wait_for;

fn produce(version: i16, correlation: i32, transactional_id: Option<&'static str>) -> Vec<u8> {
    let mut body = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(PRODUCE)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("somebody")));
    header.encode(&mut body, ProduceRequest::header_version(version)).unwrap();
    let id = transactional_id.map(|id| TransactionalId(StrBytes::from_static_str(id)));
    ProduceRequest::default().with_transactional_id(id).with_acks(-1).encode(&mut body, version).unwrap();
    let mut frame = BytesMut::new();
    frame.put_u32(u32::try_from(body.len()).unwrap());
    frame.extend_from_slice(&body);
    frame.to_vec()
}

#[test]
fn tells_data_from_state_in_every_version() {
    for version in 3..=12 {
        let data = look(&produce(version, 5, None));
        assert_eq!((data.api, data.correlation, data.is_data_produce), (PRODUCE, 5, true), "version {version}");
        let state = look(&produce(version, 6, Some("state")));
        assert_eq!((state.api, state.correlation, state.is_data_produce), (PRODUCE, 6, false), "version {version}");
    }
}

/// Answers every frame with its correlation id.
fn echo_broker() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                while let Ok(frame) = read(&mut stream) {
                    let mut answer = vec![0, 0, 0, 4];
                    answer.extend_from_slice(&frame[8..12]);
                    stream.write_all(&answer).unwrap();
                }
            });
        }
    });
    address
}

fn ask(stream: &mut TcpStream, correlation: i32) -> std::io::Result<Vec<u8>> {
    stream.write_all(&produce(9, correlation, None))?;
    read(stream)
}

#[test]
fn swallows_the_ordered_response_and_closes() {
    let relay = Relay::start(echo_broker());
    relay.drop_data_answers(&[2]);
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    assert_eq!(ask(&mut stream, 1).unwrap(), [0, 0, 0, 4, 0, 0, 0, 1]);
    assert!(ask(&mut stream, 2).is_err());
    assert_eq!((relay.dropped(), relay.data_produces()), (1, 2));
    wait_for("nothing in flight", Duration::from_secs(5), || (relay.data_in_flight() == 0).then_some(()));
    let mut again = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    assert!(ask(&mut again, 3).is_ok());
}

#[test]
fn stalls_without_closing_and_goes_on() {
    let relay = Relay::start(echo_broker());
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    assert!(ask(&mut stream, 1).is_ok());
    relay.stall(true);
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut byte = [0];
    stream.write_all(&produce(9, 2, None)).unwrap();
    let nothing = stream.read(&mut byte).unwrap_err().kind();
    assert!(matches!(nothing, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    relay.stall(false);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(read(&mut stream).unwrap()[4..], [0, 0, 0, 2]);
}
