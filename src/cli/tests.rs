mod asking;
mod ordering;
mod typing;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::api::fake::FakeBackend;
use crate::api::{Limits, Settings, TlsFiles, serve};
use crate::secrets::SecretSource;
use crate::tasks::TaskGroup;
use crate::types::Secret;

const TOKEN: &str = "a token that is long enough";

/// What a command left behind.
struct Done {
    code: u8,
    stdout: String,
    stderr: String,
}

/// Runs a command without a daemon.
fn command(arguments: &[&str]) -> Done {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("causeway").chain(arguments.iter().copied()).map(OsString::from);
    let code = super::execute(arguments, &mut stdout, &mut stderr);
    Done { code, stdout: String::from_utf8(stdout).unwrap(), stderr: String::from_utf8(stderr).unwrap() }
}

/// A daemon's API over a fake backend, on a runtime of its own: commands block.
struct Daemon {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    backend: Arc<FakeBackend>,
    folder: tempfile::TempDir,
    scheme: &'static str,
}

impl Daemon {
    fn start() -> Self {
        Self::start_over(FakeBackend::default(), false)
    }

    fn start_over(backend: FakeBackend, is_https: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let backend = Arc::new(backend);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let settings = Settings {
            listen: "127.0.0.1:0".to_owned(),
            api_token: Some(SecretSource::Literal(Secret::new(TOKEN.to_owned()))),
            tls: is_https.then(|| write_certificate(folder.path())),
            limits: Limits::default(),
        };
        let address = runtime.block_on(serve(settings, Arc::clone(&backend) as Arc<_>, &TaskGroup::new())).unwrap();
        Self { runtime, address, backend, folder, scheme: if is_https { "https" } else { "http" } }
    }

    /// Runs a command that talks to this daemon.
    fn command(&self, arguments: &[&str]) -> Done {
        let api = format!("{}://localhost:{}", self.scheme, self.address.port());
        let api = if self.scheme == "http" { format!("http://{}", self.address) } else { api };
        command(&[arguments, &["--api", &api]].concat())
    }

    /// The same, with the token.
    fn order(&self, arguments: &[&str]) -> Done {
        let file = self.path("token");
        self.command(&[arguments, &["--token-file", &file]].concat())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

fn write_certificate(folder: &Path) -> TlsFiles {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("certificate.pem"), signed.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    TlsFiles { certificate: folder.join("certificate.pem"), key: SecretSource::File(folder.join("key.pem")) }
}
