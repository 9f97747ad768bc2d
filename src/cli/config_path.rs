//! Which configuration file is meant.

use std::path::{Path, PathBuf};

use super::arguments::ConfigOptions;
use super::error::CliError;

const PLACES: [&str; 2] = ["causeway.toml", "/etc/causeway/causeway.toml"];

/// The file that was named, or the first of the usual ones that exists.
pub(super) fn config_path(options: &ConfigOptions) -> Result<PathBuf, CliError> {
    if let Some(path) = &options.config {
        return Ok(path.clone());
    }
    PLACES.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned).ok_or_else(|| {
        CliError::usage(
            format!("there is no configuration: neither {}", PLACES.join(" nor ")),
            "name the file with --config FILE or CAUSEWAY_CONFIG",
        )
    })
}
