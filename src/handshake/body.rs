//! The body of an answer to a handshake.

/// A response body that can be made from a text: the answer to a handshake may be a refusal, which
/// states its reason.
///
/// Every type that is `From<String>` is one: `String`, `Full<Bytes>`, axum's `Body`. For another
/// body, such as a `BoxBody`, let the body be a `String` and [map](http::Response::map) the
/// response.
#[diagnostic::on_unimplemented(
    message = "the body `{Self}` cannot be made from the text of a refusal",
    label = "expected a body that is `From<String>`, such as `String`, `Full<Bytes>` or axum's `Body`",
    note = "for another body, make the response with a `String` and map it: `.map(|text: String| ..)`, \
            for a `BoxBody` `.map(|text: String| text.boxed())`"
)]
pub trait TextBody: From<String> {}

// So that the compiler says what is above, and not that `From<String>` is missing.
#[diagnostic::do_not_recommend]
impl<B: From<String>> TextBody for B {}
