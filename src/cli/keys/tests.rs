use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use crate::config::Config;

fn command(arguments: &[&str]) -> (u8, String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let arguments = std::iter::once("causeway").chain(arguments.iter().copied()).map(OsString::from);
    let code = crate::cli::execute(arguments, &mut stdout, &mut stderr);
    (code, String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The lines between one text and the next.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = text.split_once(from).unwrap().1;
    rest.split_once(to).map_or(rest, |(inner, _)| inner)
}

#[test]
fn both_sides_lines_are_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let (code, onprem, _) = command(&["keys", "new", "onprem.example", "--folder", at]);
    assert_eq!(code, 0);
    let (code, cloud, _) = command(&["keys", "new", "dr.example", "--folder", at]);
    assert_eq!(code, 0);
    let mode = std::fs::metadata(folder.path().join("onprem.example.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // On the premises: our own lines, and those that the cloud's daemon printed for the other side.
    let own = between(&onprem, "causeway.toml:\n", "\nOn the other side");
    let theirs = between(&cloud, "On the other side:\n", "\u{0}");
    let text = format!(
        "{own}\n{}\n[cluster.a]\nbootstrap.servers = \"a:1\"\n[cluster.b]\nbootstrap.servers = \"b:1\"\n\
         [link.l]\nsource = \"a\"\ntarget = \"b\"\n[[link.l.topics]]\nmatch = \".*\"\n",
        theirs.replace("# connect = [\"host:9443\"]", "connect = [\"dr.example:9443\"]\n#")
    );
    let config =
        Config::parse(&text, std::path::Path::new("test.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let peers = config.peers.unwrap();
    assert_eq!(peers.peers[0].name.as_str(), "dr");
    assert!(cloud.contains(&peers.peers[0].identity.to_string()));
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    assert_eq!(command(&["keys", "new", "one", "--folder", at]).0, 0);
    let before = std::fs::read(folder.path().join("one.key")).unwrap();
    let (code, _, said) = command(&["keys", "new", "one", "--folder", at]);
    assert_eq!(code, 1);
    assert!(said.contains("one.key is there already"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("one.key")).unwrap(), before);
    // A certificate in the way: the key that was just made goes again.
    std::fs::write(folder.path().join("two.pem"), "mine").unwrap();
    assert_eq!(command(&["keys", "new", "two", "--folder", at]).0, 1);
    assert!(!folder.path().join("two.key").exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("two.pem")).unwrap(), "mine");
}

#[test]
fn a_request_is_for_an_authority() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_str().unwrap();
    let (code, said, _) = command(&["keys", "new", "onprem.example", "--folder", at, "--request"]);
    assert_eq!(code, 0);
    assert!(said.contains("identity = \"onprem.example\""), "{said}");
    let request = std::fs::read_to_string(folder.path().join("onprem.example.csr")).unwrap();
    assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
    assert!(!folder.path().join("onprem.example.pem").exists());
}

#[test]
fn names_are_dns_names() {
    for name in ["../up", "a b", "", "10.0.0.1", "sha256:00"] {
        let (code, _, said) = command(&["keys", "new", name]);
        assert_eq!(code, 2, "{name}: {said}");
    }
}
