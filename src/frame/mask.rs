//! Masking (RFC 6455, section 5.3): each payload byte is combined with one of
//! the four bytes of the key, in turn, by exclusive or.

/// The compiler makes vector instructions of a loop over whole words, which then runs at memory
/// speed. It does not unroll the loop by itself, hence blocks of this length.
const BLOCK: usize = 256;

/// Masks or unmasks `payload`, beginning with the first byte of the key.
#[inline]
pub(crate) fn apply(key: [u8; 4], payload: &mut [u8]) {
    let half = u32::from_ne_bytes(key);
    let whole = wide(key);
    let (blocks, rest) = payload.as_chunks_mut::<BLOCK>();
    for block in blocks {
        apply_words(whole, block);
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ whole).to_ne_bytes();
    }
    let (words, rest) = rest.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ half).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline(always)]
fn apply_words(key: u64, block: &mut [u8; BLOCK]) {
    let (words, _) = block.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
}

/// Masks or unmasks the next `part` of a payload, and rotates the key for the part that
/// follows.
#[inline]
pub(crate) fn apply_next(key: &mut [u8; 4], part: &mut [u8]) {
    apply(*key, part);
    *key = after(*key, part.len());
}

/// Appends `payload` to `out`, masked or unmasked: one pass over memory instead of two.
#[inline(never)]
pub(crate) fn append(key: [u8; 4], payload: &[u8], out: &mut Vec<u8>) {
    let whole = wide(key);
    let (blocks, rest) = payload.as_chunks::<BLOCK>();
    // An iterator whose exact length the compiler knows: the room is checked once, and no block
    // lies anywhere between `payload` and `out`.
    out.extend(blocks.iter().flat_map(|block| {
        let mut block = *block;
        apply_words(whole, &mut block);
        block
    }));
    let start = out.len();
    out.extend_from_slice(rest);
    apply(key, &mut out[start..]);
}

/// Appends the next `part` of a payload, and rotates the key for the part that follows.
#[inline]
pub(crate) fn append_next(key: &mut [u8; 4], part: &[u8], out: &mut Vec<u8>) {
    append(*key, part, out);
    *key = after(*key, part.len());
}

/// Copies `payload` and masks or unmasks the copy, whose allocation has exactly that length.
#[inline]
pub(crate) fn copy(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(payload.len());
    if payload.len() < BLOCK {
        // Fewer steps, and both passes stay in the nearest cache.
        copy.extend_from_slice(payload);
        apply(key, &mut copy);
    } else {
        append(key, payload, &mut copy);
    }
    copy
}

/// Returns the key twice, in the order of memory.
#[inline]
pub(crate) fn wide(key: [u8; 4]) -> u64 {
    let half = u64::from(u32::from_ne_bytes(key));
    half << 32 | half
}

/// Returns the key for the payload after its first `count` bytes.
#[inline]
pub(crate) fn after(mut key: [u8; 4], count: usize) -> [u8; 4] {
    key.rotate_left(count % 4);
    key
}
