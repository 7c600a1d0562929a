//! Frames as a client sends them, written by hand (RFC 6455, section 5.2).
//! The benchmarks use this file too.

/// The first bytes of whole messages and of control frames: FIN and the opcode.
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

/// The masking key of the frames that are sent here.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame, its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, KEY)
}

/// A frame masked by this key.
pub(crate) fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = start(first, payload.len() as u64);
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// The header of a masked frame that announces `length` bytes.
pub(crate) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = start(first, length);
    header.extend(KEY);
    header
}

/// A close frame.
pub(crate) fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// The header up to the key.
fn start(first: u8, length: u64) -> Vec<u8> {
    let mut start = vec![first];
    match length {
        0..=125 => start.push(0x80 | length as u8),
        126..=0xffff => {
            start.push(0x80 | 126);
            start.extend((length as u16).to_be_bytes());
        }
        _ => {
            start.push(0x80 | 127);
            start.extend(length.to_be_bytes());
        }
    }
    start
}
