use http::header::HeaderValue;

use crate::handshake::extensions;

fn offers(value: &str) -> Result<Vec<String>, String> {
    extensions::parse(&HeaderValue::from_bytes(value.as_bytes()).unwrap())
        .map(|offer| match offer {
            Ok(offer) => Ok(std::iter::once(offer.name.to_owned())
                .chain(offer.parameters().map(|(name, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => name.to_owned(),
                }))
                .collect::<Vec<_>>()
                .join(";")),
            Err(broken) => Err(String::from_utf8_lossy(broken).into_owned()),
        })
        .collect()
}

#[test]
fn extensions_are_read_with_quoted_values_and_optional_blanks() {
    let deflate = "permessage-deflate;client_max_window_bits";
    for value in [
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate;client_max_window_bits",
        " permessage-deflate\t;\tclient_max_window_bits ",
        ",, permessage-deflate ; client_max_window_bits ,",
    ] {
        assert_eq!(offers(value), Ok(vec![deflate.to_owned()]), "{value:?}");
    }
    assert_eq!(
        offers(r#"a; b=1; c="2", a; b = "\1\0" ;b, constructor"#),
        Ok(vec![
            "a;b=1;c=2".to_owned(),
            "a;b=10;b".to_owned(),
            "constructor".to_owned()
        ]),
    );
    assert_eq!(offers(""), Ok(vec![]));
    assert_eq!(offers(" , ,"), Ok(vec![]));
}

#[test]
fn a_broken_extension_is_named_and_nothing_behind_it_is_read() {
    for value in [
        ";",
        "=",
        "a;",
        "a;;b",
        "a;=1",
        "a=1",
        "a b",
        "a;b=",
        "a;b c",
        "a;b=\"",
        "a;b=\"1",
        "a;b=\"\"",
        "a;b=\"x y\"",
        "a;b=\"x\\",
        "a;b=\"1\"2",
        "a;b=\"1,c",
        "a/b",
        "a;b=1=2",
    ] {
        assert_eq!(offers(value), Err(value.to_owned()), "{value:?}");
        assert_eq!(
            offers(&format!("x, {value}")),
            Err(value.to_owned()),
            "{value:?}"
        );
    }
    let line = HeaderValue::from_static("a;;b, c");
    assert_eq!(extensions::parse(&line).count(), 1);
}
