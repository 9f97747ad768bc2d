//! Why a call was not done, and how that is said in HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::json::{ErrorBody, ErrorDetail};

/// A call that was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// A query parameter, a field of the body or a part of the path is missing or makes no sense.
    #[error("{parameter}: {message}")]
    BadParameter {
        /// Its name.
        parameter: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// There is no such link.
    #[error("there is no link `{link}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownLink {
        /// What was asked for.
        link: String,
        /// The name that looks most like it.
        nearest: Option<String>,
    },
    /// The link mirrors no such topic.
    #[error("link `{link}` mirrors no topic `{topic}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownTopic {
        /// The link.
        link: String,
        /// What was asked for: a topic's name at the source.
        topic: String,
        /// The name that looks most like it.
        nearest: Option<String>,
    },
    /// The link knows no such group.
    #[error(
        "link `{link}` knows no group `{group}` with positions in mirrored topics{}",
        did_you_mean(.nearest.as_deref())
    )]
    UnknownGroup {
        /// The link.
        link: String,
        /// What was asked for: a group's name at the source.
        group: String,
        /// The name that looks most like it.
        nearest: Option<String>,
    },
    /// The mirror topic has no such partition.
    #[error("topic `{topic}` has no mirror partition {partition}: it has {partitions}, counted from 0")]
    UnknownPartition {
        /// The topic's name at the source.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// How many there are.
        partitions: usize,
    },
    /// There is no such path.
    #[error("there is nothing at {0}; /openapi.json lists what there is")]
    UnknownPath(String),
    /// The path is there, but not for this method.
    #[error("{method} is not for {path}")]
    WrongMethod {
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// The caller did not show the token, or a wrong one.
    #[error("this call changes state and needs the header `Authorization: Bearer TOKEN` with the daemon's api_token")]
    Unauthorized,
    /// Nobody may do this here.
    #[error("{0}")]
    Forbidden(String),
    /// The state of things does not allow it: for instance a `resolve` verb that the stop does not offer.
    #[error("{0}")]
    Refused(String),
    /// Not now: the state is still being read, or could not be written. Try again.
    #[error("{0}")]
    Unavailable(String),
    /// The body is larger than an order can be.
    #[error("the body is larger than {bytes_max} bytes")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body can't be read as what it should be.
    #[error("{0}")]
    BadBody(String),
    /// It took longer than this API waits.
    #[error("no answer within {seconds} s; the order may still be carried out")]
    TooSlow {
        /// The limit in seconds.
        seconds: u64,
    },
}

impl ApiError {
    /// The HTTP status that says it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadParameter { .. } | Self::BadBody(_) => StatusCode::BAD_REQUEST,
            Self::UnknownLink { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownGroup { .. }
            | Self::UnknownPartition { .. }
            | Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The fixed word that says it to programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadParameter { .. } => "bad_parameter",
            Self::UnknownLink { .. } => "unknown_link",
            Self::UnknownTopic { .. } => "unknown_topic",
            Self::UnknownGroup { .. } => "unknown_group",
            Self::UnknownPartition { .. } => "unknown_partition",
            Self::UnknownPath(_) => "unknown_path",
            Self::WrongMethod { .. } => "wrong_method",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BadBody(_) => "bad_body",
            Self::TooSlow { .. } => "too_slow",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail { code: self.code().to_owned(), message: self.to_string() };
        let mut response = (self.status(), Json(ErrorBody { error: detail })).into_response();
        if self == Self::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default()
}

/// The name that looks most like `wanted`, where one looks like it at all.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    names
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name.to_owned())
}
