//! Negotiation of permessage-deflate (RFC 7692, section 7.1): offers that are written by a
//! grammar, and whatever bytes, are answered by the rules; an answer that breaks them is refused
//! by the client; and what both sides conclude fits together.

#![no_main]

use arbitrary::{Result, Unstructured};
use http::header::HeaderValue;
use http::{Request, Response};
use hyper_ws::handshake::{ClientHandshake, Head, InvalidResponse};
use hyper_ws::protocol::{Connection, Event};
use hyper_ws::{Config, Message};
use hyper_ws_fuzz::{compression, pair};
use libfuzzer_sys::fuzz_target;

const FIELD: &str = "sec-websocket-extensions";

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    let mut u = Unstructured::new(rest);
    let _ = match which % 4 {
        0 => any(&mut u),
        1 => both(&mut u),
        2 => offers(&mut u),
        _ => answers(&mut u),
    };
});

fn request(lines: &[HeaderValue]) -> Request<()> {
    let mut request = Request::get("/ws")
        .header("host", "a")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(())
        .expect("a request");
    for line in lines {
        request.headers_mut().append(FIELD, line.clone());
    }
    request
}

fn answer(config: &Config, lines: &[HeaderValue]) -> Option<Option<String>> {
    let request = request(lines);
    let offer = Head::from(&request).validate().ok()?;
    let response = offer.respond::<()>(&offer.agree(config, None));
    let answer = response.headers().get(FIELD);
    Some(answer.map(|answer| answer.to_str().expect("ASCII").to_owned()))
}

/// Any bytes are refused, declined or answered.
fn any(u: &mut Unstructured<'_>) -> Result<()> {
    let config = Config::new().compression(compression(u)?);
    let mut lines = vec![];
    for line in u.bytes(u.len())?.split(|&byte| byte == b'\n') {
        lines.extend(HeaderValue::from_bytes(line));
    }
    if let Some(Some(answer)) = answer(&config, &lines) {
        assert!(Parameters::read(&answer).is_some(), "{answer}");
    }
    Ok(())
}

/// Two sides of this crate understand each other.
fn both(u: &mut Unstructured<'_>) -> Result<()> {
    let server = Config::new().compression(compression(u)?);
    let client = Config::new().compression(compression(u)?);
    let (mut server, mut client) = pair(&server, &client);
    for round in 0..3 {
        let text = format!("{:?}", u.bytes(u.len().min(300))?).repeat(round + 1);
        say(&mut server, &mut client, &text);
        say(&mut client, &mut server, &text);
    }
    Ok(())
}

fn say(from: &mut Connection, to: &mut Connection, text: &str) {
    from.send(text).expect("open");
    let mut wire = from.take_output();
    let received = to.receive(&mut wire).expect("valid");
    assert_eq!(
        received,
        (wire.len(), Some(Event::Message(Message::from(text))))
    );
}

/// The parameters of an offer or an answer, as they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parameters {
    server_without_context: bool,
    client_without_context: bool,
    server_bits: Option<Option<u8>>,
    client_bits: Option<Option<u8>>,
}

impl Parameters {
    /// Reads what has no quotes.
    fn read(text: &str) -> Option<Self> {
        let mut parameters = text.split(';').map(str::trim);
        (parameters.next()? == "permessage-deflate").then_some(())?;
        let mut read = Parameters::default();
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (parameter, None),
            };
            read.add(name, value)?;
        }
        Some(read)
    }

    fn add(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        let bits = || match value {
            None => Some(None),
            Some(value) => {
                let bits = value.parse::<u8>().ok()?;
                ((8..=15).contains(&bits) && bits.to_string() == value).then_some(Some(bits))
            }
        };
        let was_there = match (name, value) {
            ("server_no_context_takeover", None) => {
                std::mem::replace(&mut self.server_without_context, true)
            }
            ("client_no_context_takeover", None) => {
                std::mem::replace(&mut self.client_without_context, true)
            }
            ("server_max_window_bits", _) => self.server_bits.replace(bits()?).is_some(),
            ("client_max_window_bits", _) => self.client_bits.replace(bits()?).is_some(),
            _ => return None,
        };
        (!was_there).then_some(())
    }
}

/// Appends an element of the list: parameters in any order, quoted or not, right and wrong.
/// Returns what it says, if that is valid; the grammar is kept in any case.
fn element(u: &mut Unstructured<'_>, text: &mut String) -> Result<Option<Parameters>> {
    let names = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
        "foo",
    ];
    let values = [
        "8", "9", "10", "11", "12", "13", "14", "15", "7", "16", "08", "015", "x", "+9",
    ];
    let is_known = u.ratio(7, 8)?;
    *text += if is_known {
        "permessage-deflate"
    } else {
        "x-webkit-deflate-frame"
    };
    let mut parameters = Some(Parameters::default());
    for _ in 0..u.int_in_range(0..=5)? {
        *text += *u.choose(&[";", "; ", " ;", " \t; "])?;
        let name = *u.choose(&names)?;
        *text += name;
        let has_value = name.ends_with("bits") != u.ratio(1, 5)?;
        let value = if has_value {
            Some(*u.choose(&values)?)
        } else {
            None
        };
        if let Some(value) = value {
            *text += *u.choose(&["=", "=", " = "])?;
            match u.int_in_range(0..=3)? {
                0 => *text += &format!("\"{value}\""),
                1 => *text += &format!("\"\\{value}\""),
                _ => *text += value,
            }
        }
        parameters = parameters.and_then(|mut it| it.add(name, value).map(|()| it));
    }
    Ok(parameters.filter(|_| is_known))
}

/// A server answers the first offer that is valid, by the rules.
fn offers(u: &mut Unstructured<'_>) -> Result<()> {
    let compression = compression(u)?;
    let most = compression.get_window_bits();
    let has_contexts = compression.get_limit().is_some();
    let config = Config::new().compression(compression);
    let mut lines = vec![];
    let mut first = None;
    for _ in 0..u.int_in_range(1..=3)? {
        let mut line = String::new();
        for number in 0..u.int_in_range(1..=3)? {
            if number > 0 {
                line += *u.choose(&[",", ", ", " ,, "])?;
            }
            let offer = element(u, &mut line)?;
            // The server's bits must have a value in an offer (section 7.1.2.1).
            let offer = offer.filter(|offer| offer.server_bits != Some(None));
            first = first.or(offer);
        }
        lines.push(HeaderValue::from_str(&line).expect("ASCII"));
    }
    let answer = answer(&config, &lines).expect("the grammar is kept");
    let (Some(offer), Some(answer)) = (first, &answer) else {
        assert_eq!(first.is_some(), answer.is_some(), "{lines:?}: {answer:?}");
        return Ok(());
    };
    let answered = Parameters::read(answer).expect("an answer");
    // 7.1.1.1: what is asked for must be granted; a server may always decline contexts.
    assert!(answered.server_without_context >= offer.server_without_context);
    assert_eq!(
        answered.server_without_context,
        offer.server_without_context || !has_contexts
    );
    assert_eq!(
        answered.client_without_context,
        offer.client_without_context || !has_contexts
    );
    // 7.1.2.1: as small as asked for, or smaller.
    match (offer.server_bits.flatten(), answered.server_bits) {
        (None, None) => {}
        (Some(asked), Some(Some(bits))) => assert!(bits <= asked && bits == asked.min(most)),
        other => panic!("{lines:?}: {answer}: {other:?}"),
    }
    // 7.1.2.2: only if the client offered it, and no larger than that.
    match (offer.client_bits, answered.client_bits) {
        (_, None) => {}
        (Some(asked), Some(Some(bits))) => assert!(bits <= asked.unwrap_or(15)),
        other => panic!("{lines:?}: {answer}: {other:?}"),
    }
    Ok(())
}

/// A client accepts an answer if it fits its offer.
fn answers(u: &mut Unstructured<'_>) -> Result<()> {
    let compression = compression(u)?;
    let has_contexts = compression.get_limit().is_some();
    let config = match u.ratio(7, 8)? {
        true => Config::new().compression(compression),
        false => Config::new(),
    };
    let is_offered = config.get_compression().is_some();
    let request = Request::get("ws://a/").body(()).expect("a request");
    let (_, handshake) =
        ClientHandshake::new(request, config, *b"the sample nonce").expect("valid");
    let mut line = String::new();
    let answered = element(u, &mut line)?;
    let is_known = line.starts_with("permessage-deflate");
    let mut response = Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        .header(FIELD, &line);
    let is_repeated = u.ratio(1, 8)?;
    if is_repeated {
        response = response.header(FIELD, &line);
    }
    let verified = handshake.verify(&response.body(()).expect("a response"));
    // Both windows must have values in an answer (section 7.1.2), and a client that asks the
    // server to do without its context may rely on that (7.1.1.1).
    let fits = answered.is_some_and(|answered| {
        let windows = [answered.server_bits, answered.client_bits];
        !windows.contains(&Some(None)) && (has_contexts || answered.server_without_context)
    });
    match verified {
        Ok(agreement) => {
            assert!(is_offered && fits && !is_repeated, "accepted {line}");
            assert!(agreement.extension().is_some());
        }
        Err(InvalidResponse::Extension(_)) => assert!(!is_offered || !is_known || is_repeated),
        Err(InvalidResponse::ExtensionParameters(_)) => assert!(!fits, "refused {line}"),
        Err(other) => panic!("{other}"),
    }
    Ok(())
}
