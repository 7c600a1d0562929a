//! Close codes and close frames.

use std::fmt;

use crate::message::Text;

/// The code in a close frame (RFC 6455, section 7.4).
///
/// Only codes that may be sent can be constructed: those of the IANA registry that are
/// not reserved, 3000 to 3999 (libraries and frameworks), and 4000 to 4999 (private
/// use).
///
/// ```
/// use hyper_ws::CloseCode;
///
/// assert_eq!(CloseCode::GOING_AWAY.value(), 1001);
/// assert_eq!(CloseCode::new(4000).map(CloseCode::value), Some(4000));
/// assert_eq!(CloseCode::new(1006), None); // never sent, section 7.4.1
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// The table of close codes: constant, code, name and documentation. A code that is
/// neither in it nor in the two ranges below cannot be constructed, sent or accepted.
macro_rules! close_codes {
    ($($name:ident = $code:literal, $text:literal, $doc:literal;)*) => {
        impl CloseCode {
            $(
                #[doc = concat!("`", stringify!($code), "`: ", $doc)]
                pub const $name: Self = CloseCode($code);
            )*

            /// Returns the code, if it may be sent in a close frame.
            pub const fn new(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(CloseCode(code)),)*
                    3000..=4999 => Some(CloseCode(code)),
                    _ => None,
                }
            }

            const fn name(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    3000..=3999 => "registered",
                    _ => "private use",
                }
            }
        }
    };
}

close_codes! {
    NORMAL = 1000, "normal closure", "the purpose of the connection has been fulfilled.";
    GOING_AWAY = 1001, "going away", "the server is shutting down, or the page was left.";
    PROTOCOL_ERROR = 1002, "protocol error", "a frame violates RFC 6455.";
    UNSUPPORTED_DATA = 1003, "unsupported data", "the endpoint does not accept messages of this kind.";
    INVALID_PAYLOAD = 1007, "invalid payload data", "a payload is not consistent with its kind, such as text that is not UTF-8.";
    POLICY_VIOLATION = 1008, "policy violation", "the endpoint refuses a message, and no other code is more specific.";
    MESSAGE_TOO_BIG = 1009, "message too big", "a message exceeds the endpoint's limit.";
    MANDATORY_EXTENSION = 1010, "mandatory extension", "sent by a client that needs an extension which the server did not accept.";
    INTERNAL_ERROR = 1011, "internal error", "the server met an unexpected condition.";
    SERVICE_RESTART = 1012, "service restart", "the server restarts; reconnect after a pause.";
    TRY_AGAIN_LATER = 1013, "try again later", "the server is overloaded, or this peer is too slow.";
    BAD_GATEWAY = 1014, "bad gateway", "a server upstream of the gateway failed.";
}

impl CloseCode {
    /// Returns the number on the wire.
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows the number and its name: `1001 (going away)`.
impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}

/// The content of a close frame: a code, and a reason in words (RFC 6455, section
/// 5.5.1).
///
/// A close frame may also be empty. Where that can happen, an `Option<CloseFrame>` is
/// `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The code: why the connection is closed.
    pub code: CloseCode,
    /// The reason in words, at most 123 bytes. Escape the reason of a received frame
    /// before you log it: the peer wrote it.
    pub reason: Text,
}

impl CloseFrame {
    /// Makes a close frame. A reason of more than 123 bytes is truncated, between two
    /// characters.
    pub fn new(code: CloseCode, reason: &str) -> Self {
        CloseFrame {
            code,
            reason: Text::from(cut(reason)),
        }
    }
}

/// Cuts a reason to what fits into a control frame together with the code. RFC 6455,
/// section 5.5: "All control frames MUST have a payload length of 125 bytes or less".
pub(crate) fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_exist() {
        let allowed = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::new(code).is_some(), allowed(code), "{code}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = CloseFrame::new(CloseCode::NORMAL, &"é".repeat(100));
        assert_eq!(frame.reason.len(), 122);
        assert_eq!(CloseFrame::new(CloseCode::NORMAL, "bye").reason, "bye");
    }

    #[test]
    fn a_code_is_shown_with_its_name() {
        assert_eq!(CloseCode::GOING_AWAY.to_string(), "1001 (going away)");
        assert_eq!(format!("{:?}", CloseCode::GOING_AWAY), "1001 (going away)");
        assert_eq!(
            CloseCode::new(4001).unwrap().to_string(),
            "4001 (private use)"
        );
    }
}
