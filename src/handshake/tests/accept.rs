use crate::handshake::accept_key;

#[test]
fn the_example_of_the_rfc_is_answered_as_it_says() {
    assert_eq!(
        accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
}

#[test]
fn any_key_is_answered_with_28_characters() {
    assert_eq!(
        accept_key("x3JJHMbDL1EzLkh9GBhXDw=="),
        "HSmrc0sMlYUkAGmm5OPpG2HaGWk="
    );
    for key in ["", "AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w=="] {
        assert_eq!(accept_key(key).len(), 28);
    }
}
