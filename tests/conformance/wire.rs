//! A client that does nothing on its own: one connection, one request, one answer.
//!
//! Owns: a blocking connection.
//! Promises: what was asked for is sent as it is, in the version that was asked for.
//! Does not know: what any answer means.

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::net::TcpStream;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

const LIMIT: Duration = Duration::from_secs(30);

/// A connection to a broker.
pub struct Wire {
    stream: TcpStream,
    correlation_id: i32,
}

/// An answer that is still to come. Answers come in the order of the requests.
#[must_use]
pub struct Promise<R> {
    correlation_id: i32,
    version: i16,
    request: PhantomData<R>,
}

impl Wire {
    pub fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, correlation_id: 0 }
    }

    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let promise = self.send(request, version);
        self.receive(&promise)
    }

    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> Promise<R> {
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("conformance")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        header.encode(&mut frame, R::header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let length = i32::try_from(frame.len() - 4).expect("a short frame");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).expect("the request is sent");
        Promise { correlation_id: self.correlation_id, version, request: PhantomData }
    }

    pub fn receive<R: Request>(&mut self, promise: &Promise<R>) -> R::Response {
        let mut frame = self.frame().unwrap_or_else(|error| panic!("no answer to API {}: {error}", R::KEY));
        let header =
            ResponseHeader::decode(&mut frame, R::Response::header_version(promise.version)).expect("a header");
        assert_eq!(header.correlation_id, promise.correlation_id, "answers come in order");
        let response = R::Response::decode(&mut frame, promise.version).expect("a response");
        assert!(frame.is_empty(), "{} bytes behind the answer to API {}", frame.len(), R::KEY);
        response
    }

    /// Whether nothing comes for a moment.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
        let is_silent = self.stream.peek(&mut [0]).is_err();
        self.stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        is_silent
    }

    /// Bytes that are no request, perhaps.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        // The other side may have hung up already.
        let _ = self.stream.write_all(bytes);
    }

    /// Whether the other side hangs up, answering whatever it likes before.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    fn frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
        self.stream.read_exact(&mut frame)?;
        Ok(Bytes::from(frame))
    }
}
