//! Negotiation and codec, without frames. `protocol` tests them with frames,
//! `tests/interop` against another library.

mod busy;
mod coding;
mod history;
mod kept;
mod negotiate;

use std::borrow::Cow;

use proptest::prelude::*;

use super::zlib::TAIL;
use crate::Config;
use crate::config::Compression;
use crate::error::Violation;
use crate::extension::{self, KNOWN, Known};
use crate::frame::Rsv;

type Codec = Box<dyn extension::Codec>;

fn known() -> &'static Known {
    &KNOWN[0]
}

/// Accepts an offer as a server with this configuration does. The offer is written as
/// in the header, without the name.
fn accept(compression: Compression, offer: &str) -> Option<extension::Agreed> {
    negotiate(known().accept, compression, offer)
}

fn conclude(compression: Compression, answer: &str) -> Option<extension::Agreed> {
    negotiate(known().conclude, compression, answer)
}

fn negotiate(
    side: fn(&Config, &mut extension::Parameters<'_>) -> Option<extension::Agreed>,
    compression: Compression,
    parameters: &str,
) -> Option<extension::Agreed> {
    let mut parameters =
        parameters
            .split(';')
            .filter(|it| !it.is_empty())
            .map(|it| match it.split_once('=') {
                Some((name, value)) => (name, Some(Cow::Borrowed(value))),
                None => (it, None),
            });
    side(&Config::new().compression(compression), &mut parameters)
}

/// Returns the parameters of the answer.
fn answer(compression: Compression, offer: &str) -> Option<String> {
    let answer = accept(compression, offer)?.answer();
    let parameters = answer.strip_prefix("permessage-deflate").unwrap();
    Some(
        parameters
            .replace("; ", ";")
            .trim_start_matches(';')
            .to_owned(),
    )
}

/// Returns what a server and a client agree on, for each side.
pub(crate) fn agree(
    server: Compression,
    client: Compression,
) -> (extension::Agreed, extension::Agreed) {
    let offered = (known().offer)(&Config::new().compression(client.clone())).unwrap();
    let offered = offered.strip_prefix("permessage-deflate; ").unwrap();
    let accepted = accept(server, &offered.replace("; ", ";")).unwrap();
    let answered = accepted.answer().replace("; ", ";");
    let answered = answered.strip_prefix("permessage-deflate").unwrap();
    let concluded = conclude(client, answered.trim_start_matches(';')).unwrap();
    (accepted, concluded)
}

fn pair(server: Compression, client: Compression) -> (Codec, Codec) {
    let (server, client) = agree(server, client);
    (server.codec(), client.codec())
}

fn shared() -> Compression {
    Compression::shared()
}

fn dedicated() -> Compression {
    Compression::dedicated()
}

/// Text like that of a server; each `seed` gives another one.
fn text(length: usize, seed: usize) -> Vec<u8> {
    let words = ["alpha", "room", "message", "tomorrow", "deliver", "what"];
    let mut text = String::new();
    let mut state = seed;
    while text.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let word = words[(state >> 33) % words.len()];
        text += &format!("{{\"id\":{},\"text\":\"{word}\"}},", state >> 50);
    }
    text.truncate(length);
    text.into_bytes()
}

/// Random bytes, which no compressor makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn encode(codec: &mut Codec, payload: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![];
    codec.encode(payload, &mut out).map(|rsv| {
        assert_eq!(rsv, Rsv::RSV1);
        out
    })
}

fn decode(codec: &mut Codec, payload: &[u8]) -> Result<Vec<u8>, Violation> {
    decode_parts(codec, &[payload], 1 << 20)
}

fn decode_parts(codec: &mut Codec, parts: &[&[u8]], limit: usize) -> Result<Vec<u8>, Violation> {
    let mut out = vec![];
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        codec.decode(Rsv::RSV1, part, last, &mut out, limit)?;
        assert!(out.len() <= limit && out.capacity() <= limit.max(1 << 15));
    }
    Ok(out)
}

/// A codec without contexts.
fn server(compression: Compression) -> Codec {
    accept(compression, "").unwrap().codec()
}

#[test]
fn messages_come_out_as_they_went_in_in_both_modes_and_directions() {
    for ours in [shared(), dedicated(), dedicated().window_bits(15).level(1)] {
        for theirs in [shared(), dedicated(), shared().window_bits(9)] {
            let (mut server, mut client) = pair(ours.clone(), theirs);
            for (round, length) in [600, 1, 512, 511, 0, 5_000, 70_000, 300_000]
                .into_iter()
                .enumerate()
            {
                let payload = text(length, round);
                let there = encode(&mut server, &payload);
                let back = encode(&mut client, &payload);
                assert_eq!(there.is_some(), length >= 512);
                assert_eq!(back.is_some(), length >= 512);
                if let (Some(there), Some(back)) = (there, back) {
                    assert!(there.len() < length && back.len() < length);
                    assert!(decode(&mut client, &there).unwrap() == payload);
                    assert!(decode(&mut server, &back).unwrap() == payload);
                }
            }
        }
    }
}

#[test]
fn a_context_makes_messages_smaller_and_survives_uncompressed_ones() {
    let (mut server, mut client) = pair(dedicated(), dedicated());
    let payload = text(1024, 7);
    let first = encode(&mut server, &payload).unwrap();
    assert!(decode(&mut client, &first).unwrap() == payload);
    // Neither a message below the threshold nor one that is excepted enters the
    // context.
    assert_eq!(encode(&mut server, b"short"), None);
    // Nor does one that would get longer.
    assert_eq!(encode(&mut server, &noise(5_000)), None);
    let second = encode(&mut server, &payload).unwrap();
    assert!(second.len() * 10 < first.len());
    assert!(decode(&mut client, &second).unwrap() == payload);
    let (mut server, mut client) = pair(dedicated(), dedicated());
    let first = encode(&mut server, &payload).unwrap();
    let again = encode(&mut server, &payload).unwrap();
    assert!(
        again.len() * 10 < first.len(),
        "{} {}",
        again.len(),
        first.len()
    );
    assert!(decode(&mut client, &first).unwrap() == payload);
    assert!(decode(&mut client, &again).unwrap() == payload);
}

#[test]
fn without_a_context_messages_that_do_not_get_smaller_are_sent_as_they_are() {
    let mut server = server(shared());
    assert_eq!(encode(&mut server, &noise(5_000)), None);
    let payload = text(1024, 1);
    let first = encode(&mut server, &payload).unwrap();
    assert_eq!(encode(&mut server, &payload), Some(first));
}

#[test]
fn a_window_of_8_bits_is_kept_though_the_library_has_none_so_small() {
    for compression in [
        shared(),
        dedicated(),
        dedicated().level(1),
        shared().level(9),
    ] {
        let mut server = accept(compression, "server_max_window_bits=8")
            .unwrap()
            .codec();
        // It has 256 bytes, and, with a byte at a time, nothing else to look at.
        let mut peer = zlib_rs::Inflate::new(false, 8);
        for seed in 0..20 {
            let payload = text(3_000, seed % 3);
            let mut encoded = encode(&mut server, &payload).unwrap();
            encoded.extend_from_slice(&TAIL);
            let mut rest = &encoded[..];
            let mut out = vec![];
            while out.len() < payload.len() {
                let (taken, made) = (peer.total_in(), peer.total_out());
                let mut byte = [0];
                peer.decompress(rest, &mut byte, zlib_rs::InflateFlush::SyncFlush)
                    .expect("refers back no further than 256 bytes");
                rest = &rest[(peer.total_in() - taken) as usize..];
                out.extend_from_slice(&byte[..(peer.total_out() - made) as usize]);
            }
            let mut none = [0];
            let _ = peer.decompress(rest, &mut none, zlib_rs::InflateFlush::SyncFlush);
            assert!(out == payload);
        }
    }
}

/// RFC 7692, sections 7.2.3.2 to 7.2.3.6.
#[test]
fn the_examples_of_the_rfc_are_understood() {
    let mut codec = server(dedicated());
    let hello = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..];
    assert_eq!(decode(&mut codec, hello).unwrap(), b"Hello");
    // It refers to the message before.
    let context = &[0xf2, 0x00, 0x11, 0x00, 0x00][..];
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    // Without compression.
    let stored = &[
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ][..];
    assert_eq!(decode(&mut codec, stored).unwrap(), b"Hello");
    // With a last block.
    let last = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00][..];
    assert_eq!(decode(&mut codec, last).unwrap(), b"Hello");
    // Two blocks.
    let two = &[
        0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
    ][..];
    assert_eq!(decode(&mut codec, two).unwrap(), b"Hello");
    // The empty message, in its form, and in none.
    assert_eq!(decode(&mut codec, &[0x00]).unwrap(), b"");
    assert_eq!(decode(&mut codec, &[]).unwrap(), b"");
    assert_eq!(decode(&mut codec, hello).unwrap(), b"Hello");

    let mut codec = server(shared());
    assert_eq!(decode(&mut codec, hello).unwrap(), b"Hello");
    assert_eq!(
        decode(&mut codec, context),
        Err(Violation::InvalidCompression)
    );
}

#[test]
fn a_last_block_is_not_the_end_of_the_context() {
    // Of a peer that ends each message with a last block; the second refers to
    // the first, and the third to both.
    let last = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00][..];
    let context = &[0xf2, 0x00, 0x11, 0x00, 0x00][..];
    let mut codec = server(dedicated());
    assert_eq!(decode(&mut codec, last).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, last).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    // Without the byte behind it, which some forget.
    assert_eq!(decode(&mut codec, &last[..7]).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    // One that comes first long after what a later message refers to.
    let (mut server_codec, mut peer) = pair(dedicated(), dedicated());
    let payload = text(1024, 1);
    let first = encode(&mut peer, &payload).unwrap();
    assert!(decode(&mut server_codec, &first).unwrap() == payload);
    assert_eq!(decode(&mut server_codec, &[0x03, 0x00, 0x00]).unwrap(), b"");
    let second = encode(&mut peer, &payload).unwrap();
    assert!(second.len() * 10 < first.len());
    assert!(decode(&mut server_codec, &second).unwrap() == payload);
    // Within a message, in both modes: what follows refers to what came before.
    let within = [&last[..7], context].concat();
    assert_eq!(decode(&mut codec, &within).unwrap(), b"HelloHello");
    assert_eq!(
        decode(&mut server(shared()), &within).unwrap(),
        b"HelloHello"
    );
}

/// RFC 7692, section 7.2.1: an empty block without compression ends the message, and its last
/// four bytes are removed. Its first may say that the block is a last one.
#[test]
fn the_block_whose_tail_was_removed_may_be_a_last_one() {
    let context = &[0xf2, 0x00, 0x11, 0x00, 0x00][..];
    let stored = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f][..];
    let mut codec = server(dedicated());
    assert_eq!(decode(&mut codec, &[0x01]).unwrap(), b"");
    let hello = [stored, &[0x01]].concat();
    assert_eq!(decode(&mut codec, &hello).unwrap(), b"Hello");
    assert_eq!(decode(&mut codec, context).unwrap(), b"Hello");
    // The tail of a last block that is not empty, or not without compression, is more than that.
    for last in [0x03, 0x05, 0x07] {
        let decoded = decode(&mut server(dedicated()), &[last]);
        assert_eq!(decoded, Err(Violation::InvalidCompression), "{last:#x}");
    }
}

#[test]
fn a_flood_of_last_blocks_is_refused() {
    // An empty last block takes two bytes, and makes the reader begin anew. No honest
    // sender puts more than a few into a message.
    let block = [0x03, 0x00];
    for compression in [shared(), dedicated()] {
        let mut codec = server(compression);
        assert_eq!(decode(&mut codec, &block.repeat(5)).unwrap(), b"");
        for count in [6, 100_000] {
            assert_eq!(
                decode(&mut codec, &block.repeat(count)),
                Err(Violation::InvalidCompression),
                "{count}"
            );
        }
    }
}

#[test]
fn invalid_or_truncated_data_is_a_violation() {
    let whole = {
        let mut codec = server(shared().threshold(0));
        encode(
            &mut codec,
            b"some text that is long enough to get smaller smaller smaller",
        )
        .unwrap()
    };
    assert_eq!(decode(&mut server(shared()), &whole).unwrap().len(), 60);
    for compression in [shared(), dedicated()] {
        for bytes in [
            &[0xff, 0xff, 0xff][..],
            &[0x07],
            b"plain text",
            // A length that is not its own complement.
            &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48],
        ] {
            let decoded = decode(&mut server(compression.clone()), bytes);
            assert_eq!(decoded, Err(Violation::InvalidCompression), "{bytes:?}");
        }
        for end in 1..whole.len() - 1 {
            let decoded = decode(&mut server(compression.clone()), &whole[..end]);
            assert_eq!(decoded, Err(Violation::InvalidCompression), "{end}");
        }
    }
}

/// Returns `count` zeros, compressed.
fn bomb(count: usize) -> Vec<u8> {
    let mut codec = server(shared().level(9).window_bits(15));
    encode(&mut codec, &vec![0; count]).unwrap()
}

#[test]
fn decompressing_stops_at_the_limit_whatever_the_fragments() {
    let bomb = bomb(1 << 23);
    assert!(bomb.len() < 1 << 14, "{}", bomb.len());
    for compression in [shared(), dedicated()] {
        for limit in [1, 1000, STEP_OF_INFLATE, STEP_OF_INFLATE + 1, 1 << 20] {
            for part in [1, 100, bomb.len()] {
                let parts = bomb.chunks(part).collect::<Vec<_>>();
                let mut codec = server(compression.clone());
                let decoded = decode_parts(&mut codec, &parts, limit);
                assert_eq!(decoded, Err(Violation::MessageTooLarge { limit }));
            }
        }
    }
    let exact = self::bomb(100_000);
    let mut codec = server(shared());
    assert_eq!(
        decode_parts(&mut codec, &[&exact], 100_000).unwrap().len(),
        100_000
    );
    let less = decode_parts(&mut codec, &[&exact], 99_999);
    assert_eq!(less, Err(Violation::MessageTooLarge { limit: 99_999 }));
}

const STEP_OF_INFLATE: usize = 16 * 1024;

#[test]
fn an_unfinished_message_takes_no_decompressor_from_other_connections() {
    let payload = text(2_000, 3);
    let mut codec = server(shared());
    let encoded = encode(&mut codec, &payload).unwrap();
    let (head, rest) = encoded.split_at(100);
    let mut codecs = (0..20).map(|_| server(shared())).collect::<Vec<_>>();
    let mut outs = vec![vec![]; codecs.len()];
    for (codec, out) in codecs.iter_mut().zip(&mut outs) {
        codec.decode(Rsv::RSV1, head, false, out, 1 << 20).unwrap();
    }
    for (codec, out) in codecs.iter_mut().zip(&mut outs).rev() {
        codec.decode(Rsv::RSV1, rest, true, out, 1 << 20).unwrap();
        assert!(*out == payload);
    }
}

#[test]
fn an_idle_connection_holds_little() {
    assert!(
        size_of::<super::codec::DeflateCodec>() <= 80,
        "{}",
        size_of::<super::codec::DeflateCodec>()
    );
    assert!(size_of::<extension::Coding>() <= 12);
}

proptest! {
    #[test]
    fn any_parameters_are_answered_or_declined(
        parameters in prop::collection::vec(
            (
                prop_oneof![
                    Just("server_no_context_takeover".to_owned()),
                    Just("client_no_context_takeover".to_owned()),
                    Just("server_max_window_bits".to_owned()),
                    Just("client_max_window_bits".to_owned()),
                    "[a-z_]{1,30}",
                ],
                prop::option::of(prop_oneof!["[0-9]{1,3}", "[!-~]{1,20}"]),
            ),
            0..6,
        ),
    ) {
        for compression in [shared(), dedicated()] {
            let config = Config::new().compression(compression);
            for side in [known().accept, known().conclude] {
                let mut parameters = parameters
                    .iter()
                    .map(|(name, value)| (&**name, value.as_deref().map(Cow::Borrowed)));
                if let Some(agreed) = side(&config, &mut parameters) {
                    let _ = agreed.codec();
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_decompressed_or_refused(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5),
        part in 1_usize..50,
    ) {
        for compression in [shared(), dedicated()] {
            let mut codec = server(compression);
            for message in &messages {
                let parts = message.chunks(part).collect::<Vec<_>>();
                if decode_parts(&mut codec, &parts, 10_000).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn any_messages_survive_any_cut(
        lengths in prop::collection::vec((0_usize..4_000, 1_usize..3_000), 1..6),
        level in 1_u8..=9,
        bits in 9_u8..=15,
        memory in 1_u8..=9,
    ) {
        for compression in [shared(), dedicated()] {
            let compression = compression
                .level(level)
                .window_bits(bits)
                .memory_level(memory)
                .threshold(0);
            let (mut server, mut client) = pair(compression.clone(), compression);
            for (seed, &(length, part)) in lengths.iter().enumerate() {
                let payload = text(length, seed);
                if let Some(encoded) = encode(&mut server, &payload) {
                    let parts = encoded.chunks(part).collect::<Vec<_>>();
                    prop_assert!(decode_parts(&mut client, &parts, 4_000).unwrap() == payload);
                }
            }
        }
    }
}
