//! Log set-up of the process: once, by `main`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that holds the filter, in the form of `RUST_LOG`.
pub const FILTER_VARIABLE: &str = "CAUSEWAY_LOG";

/// What libraries may say unless the filter names them: their `info` is our `debug`.
const QUIET: &str = "librdkafka=warn,rdkafka=warn,hyper=warn,hyper_util=warn,rustls=warn,ureq=warn,ureq_proto=warn";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people, with colours where the terminal has them.
    Terminal {
        /// Whether colours are wanted.
        is_coloured: bool,
    },
    /// One JSON object a line, for programs.
    Json,
}

/// Logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter makes no sense.
    #[error(
        "{FILTER_VARIABLE}=`{filter}` is not a log filter: {error}. Use a level (error, warn, info, debug, trace) \
         or a list such as `info,causeway::mirror=debug`"
    )]
    BadFilter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        error: String,
    },
    /// Something else in this process has set up logs before.
    #[error("logs are set up already")]
    AlreadySetUp,
}

impl Form {
    /// People when stderr is a terminal, programs otherwise.
    #[must_use]
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Terminal { is_coloured: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
        } else {
            Self::Json
        }
    }
}

/// Sets up logs for the whole process: to stderr, filtered by `CAUSEWAY_LOG` (default `info`).
pub fn set_up() -> Result<(), LogError> {
    set_up_with("info")
}

/// The same with another filter for when `CAUSEWAY_LOG` says nothing.
pub fn set_up_with(default: &str) -> Result<(), LogError> {
    let asked = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let filter = filter(Some(asked.as_deref().unwrap_or(default)))?;
    subscriber(Form::of_stderr(), filter, BoxMakeWriter::new(std::io::stderr))
        .try_init()
        .map_err(|_| LogError::AlreadySetUp)
}

/// The filter that a text asks for; libraries stay quiet unless it names them.
pub(super) fn filter(text: Option<&str>) -> Result<EnvFilter, LogError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("info");
    EnvFilter::try_new(format!("{QUIET},{text}"))
        .map_err(|error| LogError::BadFilter { filter: text.to_owned(), error: error.to_string() })
}

/// What turns events into lines of this form.
pub(super) fn subscriber(
    form: Form,
    filter: EnvFilter,
    writer: BoxMakeWriter,
) -> Box<dyn tracing::Subscriber + Send + Sync> {
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match form {
        Form::Terminal { is_coloured } => Box::new(registry.with(lines.with_ansi(is_coloured))),
        // Fields of the event itself at the top level, as log collectors like them.
        Form::Json => {
            Box::new(registry.with(lines.json().flatten_event(true).with_current_span(true).with_span_list(false)))
        }
    }
}
