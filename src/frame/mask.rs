//! Masking (RFC 6455, section 5.3): each payload byte is combined with one of
//! the four bytes of the key, in turn, by exclusive or.

/// Masks or unmasks `payload`, beginning with the first byte of the key.
#[inline]
pub(crate) fn apply(key: [u8; 4], payload: &mut [u8]) {
    let half = u32::from_ne_bytes(key);
    let whole = wide(key);
    // Whole words: the compiler makes vector instructions of these loops, which then run at
    // memory speed. It does not unroll them by itself, hence the blocks of eight words.
    let (blocks, rest) = payload.as_chunks_mut::<64>();
    for block in blocks {
        let (words, _) = block.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ whole).to_ne_bytes();
        }
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

/// Masks or unmasks the next `part` of a payload, and rotates the key for the part that
/// follows.
#[inline]
pub(crate) fn apply_next(key: &mut [u8; 4], part: &mut [u8]) {
    apply(*key, part);
    *key = after(*key, part.len());
}

/// Payloads of this length and more are unmasked while they are copied. For smaller
/// ones both passes stay in the nearest cache, and the allocation has exactly their
/// length.
pub(crate) const ONE_PASS: usize = 4 * 1024;

/// Copies `payload` and masks or unmasks the copy: one pass over memory instead of two.
#[inline(never)]
pub(crate) fn copy(key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let whole = wide(key);
    let masked = |word: &[u8; 8]| (u64::from_ne_bytes(*word) ^ whole).to_ne_bytes();
    let (words, rest) = payload.as_chunks::<8>();
    // 256 bytes: the compiler does not unroll the loop over them by itself.
    let (blocks, words) = words.as_chunks::<32>();
    // So written, the compiler sees that the whole blocks fit, with up to 255 bytes to spare.
    let is_more = !words.is_empty() || !rest.is_empty();
    let mut copy = Vec::with_capacity(blocks.len() + usize::from(is_more));
    copy.extend(blocks.iter().map(|block| block.each_ref().map(masked)));
    let mut copy = copy.into_flattened();
    copy.extend(words.iter().map(masked));
    let mut copy = copy.into_flattened();
    copy.extend(
        rest.iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
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
