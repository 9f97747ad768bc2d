use super::*;
#[test]
fn show() {
    let text = std::fs::read_to_string(std::env::var("BAD").unwrap()).unwrap();
    match Config::parse(&text, Path::new("causeway.toml")) {
        Ok(c) => println!("{c:#?}"),
        Err(e) => println!("{e}"),
    }
}
