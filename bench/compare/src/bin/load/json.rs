//! Messages as a service sends them: the same keys in each, and unpredictable values.

use crate::frames::Random;

const WORDS: [&str; 48] = [
    "the",
    "order",
    "of",
    "a",
    "customer",
    "was",
    "delivered",
    "to",
    "and",
    "is",
    "waiting",
    "for",
    "confirmation",
    "meeting",
    "moved",
    "tomorrow",
    "server",
    "restarted",
    "after",
    "update",
    "please",
    "check",
    "thanks",
    "review",
    "merged",
    "build",
    "failed",
    "on",
    "main",
    "price",
    "changed",
    "by",
    "percent",
    "new",
    "comment",
    "from",
    "support",
    "ticket",
    "closed",
    "Berlin",
    "Zürich",
    "São Paulo",
    "invoice",
    "payment",
    "received",
    "room",
    "we",
    "will",
];
const KINDS: [&str; 6] = [
    "message", "update", "alert", "comment", "payment", "presence",
];

/// Texts of exactly `size` bytes, each a JSON document, the same in every run.
pub fn messages(count: usize, size: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new();
    (0..count)
        .map(|at| message(at, size, &mut random))
        .collect()
}

fn message(at: usize, size: usize, random: &mut Random) -> Vec<u8> {
    let mut text = format!(
        "{{\"sequence\":{},\"channel\":\"team-{}\",\"events\":[",
        100_000 + at,
        random.below(40),
    );
    const END: &str = "],\"rest\":\"\"}";
    loop {
        let event = event(random);
        if text.len() + event.len() + END.len() > size {
            break;
        }
        text += &event;
        text.push(',');
    }
    if text.ends_with(',') {
        text.pop();
    }
    text += &END[..END.len() - 2];
    while text.len() + 2 < size {
        let word = WORDS[random.below(WORDS.len())];
        if text.len() + word.len() + 3 <= size {
            text += word;
            text.push(' ');
        } else {
            text.push('.');
        }
    }
    text += "\"}";
    text.into_bytes()
}

fn event(random: &mut Random) -> String {
    let words: Vec<_> = (0..4 + random.below(12))
        .map(|_| WORDS[random.below(WORDS.len())])
        .collect();
    format!(
        "{{\"id\":\"{:08x}-{:04x}\",\"kind\":\"{}\",\"at\":\"2026-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\
         \"user\":{{\"id\":{},\"name\":\"user{}\"}},\"text\":\"{}\",\"score\":{}.{:02},\"read\":{}}}",
        random.next() as u32,
        random.next() as u16,
        KINDS[random.below(KINDS.len())],
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1000),
        random.below(1_000_000),
        random.below(100_000),
        words.join(" "),
        random.below(100),
        random.below(100),
        random.below(2) == 0,
    )
}
