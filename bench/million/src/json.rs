//! The report: names and numbers.

use std::fmt;

pub(crate) struct Object(Vec<(&'static str, String)>);

impl Object {
    pub(crate) fn new(what: &str, sockets: usize) -> Self {
        Object(vec![
            ("what", format!("\"{what}\"")),
            ("sockets", sockets.to_string()),
        ])
    }

    pub(crate) fn number(&mut self, name: &'static str, value: f64) {
        self.0.push((name, format!("{value:.6}")));
    }

    /// `bytes` divided by `count`.
    pub(crate) fn each(&mut self, name: &'static str, bytes: i64, count: usize) {
        self.number(name, bytes as f64 / count as f64);
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: Vec<_> = self
            .0
            .iter()
            .map(|(name, it)| format!("\"{name}\": {it}"))
            .collect();
        write!(f, "{{{}}}", members.join(", "))
    }
}
