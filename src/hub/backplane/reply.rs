//! The address of an answer.

use std::fmt;

/// The address of an answer. One that is dropped before it was used gives the answer `lost`.
pub(in crate::hub) struct Reply<T> {
    to: Option<Box<dyn FnOnce(T) + Send>>,
    lost: fn() -> T,
}

impl<T> Reply<T> {
    pub(in crate::hub) fn new(lost: fn() -> T, to: impl FnOnce(T) + Send + 'static) -> Self {
        Reply {
            to: Some(Box::new(to)),
            lost,
        }
    }

    pub(super) fn send(&mut self, answer: T) {
        if let Some(to) = self.to.take() {
            to(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let answer = self.lost;
        if self.to.is_some() {
            self.send(answer());
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}
