//! The parameters of an extension.

use std::borrow::Cow;

/// The parameters of an offer or an answer, in order and without quotes. The same one
/// may occur twice.
pub(crate) type Parameters<'a> = dyn Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + 'a;
