//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455, section 9.1).

use std::borrow::Cow;

use http::header::HeaderValue;

use super::headers::is_token_byte;

/// One element of `Sec-WebSocket-Extensions`: a name and its parameters, both
/// well-formed. In a response it is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtensionOffer<'a> {
    pub(super) name: &'a str,
    parameters: &'a [u8],
}

impl<'a> ExtensionOffer<'a> {
    /// Returns the parameters in their order, repeated ones too.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> {
        let mut rest = Scanner(self.parameters);
        std::iter::from_fn(move || {
            if rest.separator(b';') {
                rest.parameter()
            } else {
                None
            }
        })
    }
}

/// Returns the offers of one line of `Sec-WebSocket-Extensions`.
///
/// An error is the rest of the line, from the offer that breaks the grammar. It
/// is the last item.
pub(super) fn parse(line: &HeaderValue) -> impl Iterator<Item = Result<ExtensionOffer<'_>, &[u8]>> {
    let mut rest = Scanner(line.as_bytes());
    std::iter::from_fn(move || {
        rest.empty_elements();
        if rest.0.is_empty() {
            return None;
        }
        let start = rest.0;
        let offer = rest.extension();
        Some(offer.ok_or_else(|| {
            rest.0 = &[];
            start
        }))
    })
}

/// The part of a field's value that is still to be read.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    /// Reads `extension = extension-token *( ";" extension-param )` and the comma
    /// after it, unless the line ends there.
    fn extension(&mut self) -> Option<ExtensionOffer<'a>> {
        let name = self.token()?;
        let start = self.0;
        while self.separator(b';') {
            self.parameter()?;
        }
        let parameters = &start[..start.len() - self.0.len()];
        let is_complete = self.0.is_empty() || self.separator(b',');
        is_complete.then_some(ExtensionOffer { name, parameters })
    }

    /// Reads `extension-param = token [ "=" (token | quoted-string) ]`.
    fn parameter(&mut self) -> Option<(&'a str, Option<Cow<'a, str>>)> {
        let name = self.token()?;
        if !self.separator(b'=') {
            return Some((name, None));
        }
        let value = match self.0.first() {
            Some(b'"') => self.quoted()?,
            _ => Cow::Borrowed(self.token()?),
        };
        Some((name, Some(value)))
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self
            .0
            .iter()
            .position(|&byte| !is_token_byte(byte))
            .unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        std::str::from_utf8(token)
            .ok()
            .filter(|token| !token.is_empty())
    }

    /// Reads a quoted string and returns what it means. RFC 6455, section 9.1:
    /// "When using the quoted-string syntax variant, the value after
    /// quoted-string unescaping MUST conform to the 'token' ABNF."
    fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let body = self.0.strip_prefix(b"\"")?;
        // Allocated at the first backslash, which hardly any client sends.
        let mut unescaped = None::<Vec<u8>>;
        let mut at = 0;
        loop {
            let mut byte = *body.get(at)?;
            match byte {
                b'"' => break,
                b'\\' => {
                    unescaped.get_or_insert_with(|| body[..at].to_vec());
                    at += 1;
                    byte = *body.get(at)?;
                }
                _ => {}
            }
            if !is_token_byte(byte) {
                return None;
            }
            if let Some(unescaped) = &mut unescaped {
                unescaped.push(byte);
            }
            at += 1;
        }
        self.0 = &body[at + 1..];
        let value = match unescaped {
            None => Cow::Borrowed(std::str::from_utf8(&body[..at]).ok()?),
            Some(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
        };
        Some(value).filter(|value| !value.is_empty())
    }

    /// Skips the separator and the blanks around it. Returns whether it was there.
    fn separator(&mut self, separator: u8) -> bool {
        self.0 = self.0.trim_ascii_start();
        match self.0.split_first() {
            Some((&first, rest)) if first == separator => {
                self.0 = rest.trim_ascii_start();
                true
            }
            _ => false,
        }
    }

    fn empty_elements(&mut self) {
        while self.separator(b',') {}
    }
}
