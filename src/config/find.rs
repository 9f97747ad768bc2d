//! Where the configuration is looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::ConfigError;

const VARIABLE: &str = "CAUSEWAY_CONFIG";
const USUAL: [&str; 2] = ["causeway.toml", "/etc/causeway/causeway.toml"];

/// The configuration file to use: the explicit one, else what `CAUSEWAY_CONFIG` names, else `causeway.toml` in the
/// working directory, else `/etc/causeway/causeway.toml`.
///
/// # Errors
/// None was named and none of the usual files exists. A file that was named is not checked here.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, ConfigError> {
    find_among(explicit, std::env::var_os(VARIABLE), Path::exists)
}

pub(super) fn find_among(
    explicit: Option<&Path>,
    variable: Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, ConfigError> {
    if let Some(file) = explicit {
        return Ok(file.to_owned());
    }
    if let Some(file) = variable.filter(|file| !file.is_empty()) {
        return Ok(PathBuf::from(file));
    }
    let usual = USUAL.map(PathBuf::from);
    match usual.iter().find(|file| exists(file)) {
        Some(file) => Ok(file.clone()),
        None => Err(ConfigError::NotFound { tried: usual.to_vec() }),
    }
}
