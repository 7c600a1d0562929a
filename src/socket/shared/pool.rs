//! A free list of one thread: what one connection gives back, the next one takes.

use std::cell::RefCell;
use std::thread::LocalKey;

/// Up to `N` values that no connection needs at the moment.
pub(in crate::socket) struct Pool<T, const N: usize>(RefCell<Vec<T>>);

impl<T, const N: usize> Pool<T, N> {
    pub(in crate::socket) const fn new() -> Self {
        Pool(RefCell::new(Vec::new()))
    }
}

/// Takes a value; `None` if there is none, or if the thread is ending.
pub(in crate::socket) fn take<T, const N: usize>(pool: &'static LocalKey<Pool<T, N>>) -> Option<T> {
    pool.try_with(|pool| pool.0.borrow_mut().pop())
        .ok()
        .flatten()
}

/// Gives a value back. It is dropped if the pool is full, or if the thread is ending.
pub(in crate::socket) fn give<T, const N: usize>(pool: &'static LocalKey<Pool<T, N>>, value: T) {
    let _ = pool.try_with(|pool| {
        let mut free = pool.0.borrow_mut();
        if free.len() < N {
            free.push(value);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_keeps_no_more_than_its_size() {
        thread_local! {
            static NUMBERS: Pool<u32, 2> = const { Pool::new() };
        }
        for number in 0..3 {
            give(&NUMBERS, number);
        }
        assert_eq!(take(&NUMBERS), Some(1));
        assert_eq!(take(&NUMBERS), Some(0));
        assert_eq!(take(&NUMBERS), None);
    }
}
