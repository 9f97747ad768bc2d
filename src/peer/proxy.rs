//! Through an HTTP proxy on the way out: one CONNECT, then the line is ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::PeerError;
use super::settings::{Address, Proxy};

/// What a proxy may say before the line is ours, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// Asks the proxy to connect us to an address.
pub(super) async fn ask<S>(stream: &mut S, proxy: &Proxy, address: &Address) -> Result<(), PeerError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refuse =
        |reason: String| PeerError::Proxy { proxy: proxy.address.clone(), address: address.to_string(), reason };
    let login = proxy.login.as_ref().map(|(user, password)| {
        let both = STANDARD.encode(format!("{user}:{}", password.reveal()));
        format!("Proxy-Authorization: Basic {both}\r\n")
    });
    let request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{}\r\n", login.unwrap_or_default());
    stream.write_all(request.as_bytes()).await.map_err(|error| refuse(error.to_string()))?;
    let mut answer = Vec::new();
    // Byte by byte, because what follows the empty line is TLS's. A proxy is asked once for each connection.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= ANSWER_BYTES_MAX {
            return Err(refuse("its answer is too long".to_owned()));
        }
        answer.push(stream.read_u8().await.map_err(|error| refuse(error.to_string()))?);
    }
    let first_line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let first_line = String::from_utf8_lossy(first_line);
    let mut words = first_line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next() {
        Some(code) if is_http && code.len() == 3 && code.starts_with('2') => Ok(()),
        Some("407") => Err(refuse("it wants a user and a password".to_owned())),
        _ => Err(refuse(format!("it answered `{}`", first_line.escape_debug().take(200).collect::<String>()))),
    }
}
