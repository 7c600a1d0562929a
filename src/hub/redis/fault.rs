//! What an error of Redis means for the request and for the connections.

use redis::{RedisError, ServerError};

use crate::hub::backplane::EngineError;

/// An error of Redis, or of the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) reason: EngineError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Whether Redis has carried the request out is not known. The connection is to be replaced.
    Lost,
    /// The scripts are not there: they were flushed.
    NoScript,
    /// The server does not take writes: it is a replica, loads its data, or cannot save them. The
    /// request was not carried out. Both connections are to be replaced, for the name may lead
    /// elsewhere by now.
    WrongServer,
    /// The server refuses for now: no memory, no permission. The request was not carried out.
    Refused,
    /// A newer release has written what the request would change. It was not carried out.
    Newer,
    /// The server does not understand this one request, which was not carried out.
    Failed,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, reason: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Fault {
            kind,
            reason: EngineError::new(reason),
        }
    }

    /// The connection is to be replaced.
    pub(super) fn lost(reason: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Fault::new(FaultKind::Lost, reason)
    }

    /// An error that a script has met and passed on. Its text may say first where in the script.
    pub(super) fn within_script(text: &str) -> Self {
        let code = ["WRONGTYPE", "OOM"].into_iter().find_map(|code| {
            let (_, details) = text.split_once(code)?;
            Some(server(code, details.trim_start()))
        });
        code.unwrap_or_else(|| server("ERR", text))
    }

    /// An answer that no script of ours gives.
    pub(super) fn answer(script: &str) -> Self {
        let reason = format!("redis gave an answer to `{script}` that cannot be read");
        Fault::new(FaultKind::Failed, reason)
    }
}

impl From<&ServerError> for Fault {
    fn from(error: &ServerError) -> Self {
        server(error.code(), error.details().unwrap_or_default())
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some(code) => server(code, error.detail().unwrap_or_default()),
            None => Fault::lost(format!("the connection to redis failed: {error}")),
        }
    }
}

fn server(code: &str, details: &str) -> Fault {
    // No code says what a script may not do: Redis 7.0 has the first text, 7.2 and Valkey the other.
    let denied = [
        "The user executing the script can't",
        "ACL failure in script",
    ];
    let is_denied = code == "NOPERM" || denied.iter().any(|text| details.contains(text));
    let code = if is_denied { "NOPERM" } else { code };
    let kind = match code {
        "NOSCRIPT" => FaultKind::NoScript,
        "READONLY" | "LOADING" | "MASTERDOWN" | "MISCONF" | "CLUSTERDOWN" => FaultKind::WrongServer,
        // BUSY: another script runs for too long. NOREPLICAS: too few replicas to write.
        "OOM" | "NOPERM" | "NOAUTH" | "WRONGPASS" | "BUSY" | "NOREPLICAS" => FaultKind::Refused,
        "NEWER" => FaultKind::Newer,
        _ => FaultKind::Failed,
    };
    let hint = match code {
        "NOPERM" => " (the docs of `hyper_ws::hub::Redis` name the ACL rules that are needed)",
        "OOM" => " (raise `maxmemory`)",
        "NEWER" => " (update this server, or set `Redis::write_version` in the newer ones)",
        "READONLY" => " (it is a replica; name the primary)",
        _ => "",
    };
    Fault::new(kind, format!("redis refuses: {code} {details}{hint}"))
}
