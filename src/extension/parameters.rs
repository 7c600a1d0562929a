//! The parameters of an extension.

use std::borrow::Cow;

/// The parameters of an offer or an answer, in their order, quotes removed; the
/// same one may come twice.
pub(crate) type Parameters<'a> = dyn Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + 'a;
