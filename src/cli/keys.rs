//! `causeway keys new`: a key and its certificate, and the lines that both sides need.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::{KeysCommand, KeysOptions, NewKeysOptions, OutputForm};
use super::error::CliError;
use super::output::Output;
use crate::peer::{Issued, Proof, issue};
use crate::types::PeerName;

/// Only its owner reads it.
const MODE_KEY: u32 = 0o600;
/// There is nothing secret in it.
const MODE_CERTIFICATE: u32 = 0o644;

/// Does what is asked about keys.
pub(super) fn keys(options: &KeysOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let KeysCommand::New(options) = &options.command;
    new(options, output)
}

/// The files that were written, as absolute paths.
struct Written {
    key: PathBuf,
    certificate: PathBuf,
    /// In place of the certificate, for an authority to sign.
    request: Option<PathBuf>,
}

fn new(options: &NewKeysOptions, output: &mut Output<'_>) -> Result<(), CliError> {
    let proof = if options.request { Proof::Request } else { Proof::SelfSigned { days: options.days } };
    let issued = issue(&options.name, proof).map_err(|_| {
        CliError::usage(format!("`{}` is no DNS name", options.name), "such as onprem.example, or just onprem")
    })?;
    let folder = std::path::absolute(&options.folder)?;
    let at = |ending: &str| folder.join(format!("{}.{ending}", options.name));
    let written = Written { key: at("key"), certificate: at("pem"), request: options.request.then(|| at("csr")) };
    let proof_path = written.request.as_ref().unwrap_or(&written.certificate);
    write_new(&written.key, issued.key.reveal(), MODE_KEY)?;
    if let Err(error) = write_new(proof_path, &issued.proof, MODE_CERTIFICATE) {
        // A key without its certificate is of no use, and would be in the way of the next try.
        let _ = std::fs::remove_file(&written.key);
        return Err(error);
    }
    match options.output.output {
        OutputForm::Table => output.text(&told(options, &issued, &written)),
        OutputForm::Json => output.json(&json!({
            "name": options.name,
            "key": written.key,
            "certificate": written.certificate,
            "request": written.request,
            "identity": issued.digest.to_string(),
            "expires_at": issued.expires_at,
        })),
    }
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::failed(
            format!("{} is there already", path.display()),
            "nothing is overwritten: move it away, or choose another --folder",
        ),
        _ => CliError::plain(format!("can't write {}: {error}", path.display())),
    };
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// What a person does next.
fn told(options: &NewKeysOptions, issued: &Issued, written: &Written) -> String {
    let name = &options.name;
    let mut text = String::new();
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    say(format!("{}: the key. It stays here; nobody else needs it.", written.key.display()));
    match &written.request {
        None => say(format!("{}: its certificate, valid for {} days.", written.certificate.display(), options.days)),
        Some(request) => {
            say(format!("{}: the request. Have your authority sign it,", request.display()));
            say(format!("and put the certificate, with its chain, at {}.", written.certificate.display()));
        }
    }
    say("\nOn this side, in causeway.toml:\n".to_owned());
    say("[peers]".to_owned());
    say(format!("certificate = {}", quoted(&written.certificate)));
    say(format!("key = {{ file = {} }}", quoted(&written.key)));
    if written.request.is_some() {
        let whose = "who signs the other side's certificate; default: the system's";
        say(format!("# ca = \"/path/to/authority.pem\"  # {whose}"));
    }
    say("# listen = \"0.0.0.0:9443\"         # on the side that is dialled".to_owned());
    say("\nOn the other side:\n".to_owned());
    say(format!("[peer.{}]", peer_name(name)));
    if written.request.is_some() {
        say(format!("identity = \"{name}\""));
        say(format!("# or, whoever signs it: identity = \"{}\"", issued.digest));
    } else {
        say(format!("identity = \"{}\"", issued.digest));
    }
    say("# connect = [\"host:9443\"]         # on the side that dials".to_owned());
    let exposed = "{ cluster = \"...\", topics = [\"...\"], groups = [\"...\"] }";
    say(format!("# expose = {exposed}  # what may be read there"));
    text
}

/// A name for `[peer.NAME]`: the first label of the DNS name.
fn peer_name(name: &str) -> String {
    let first = name.split('.').next().unwrap_or_default();
    PeerName::new(first).map_or_else(|_| "other".to_owned(), |name| name.to_string())
}

/// As a TOML string.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests;
