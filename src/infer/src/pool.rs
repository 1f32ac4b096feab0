//! Vectors that are used again.

use crate::engine::{Data, Tensor};
use std::sync::{Mutex, PoisonError};

/// Vectors that were run and may be filled again: fresh memory costs more than what is written to it.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Vec<f32>>>);

/// Vectors that a pool keeps.
const POOLED: usize = 64;

impl Pool {
    /// A vector of `n` values, whatever they are.
    pub(crate) fn take(&self, n: usize) -> Vec<f32> {
        let mut values = self.with_room(n);
        values.resize(n, 0.0);
        values
    }

    /// A copy of `values`.
    pub(crate) fn copy(&self, values: &[f32]) -> Vec<f32> {
        let mut copy = self.with_room(values.len());
        copy.clear();
        copy.extend_from_slice(values);
        copy
    }

    /// The vector that `n` values fill best; where none has room for them the largest, which then grows.
    fn with_room(&self, n: usize) -> Vec<f32> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = |(_, values): &(usize, &Vec<f32>)| match values.capacity() {
            room if room >= n => (false, room),
            room => (true, usize::MAX - room),
        };
        let best = pool.iter().enumerate().min_by_key(room).map(|(at, _)| at);
        best.map_or_else(Vec::new, |at| pool.swap_remove(at))
    }

    /// Takes back what a tensor lies in.
    pub(crate) fn give(&self, tensor: Tensor) {
        if let Data::F32(values) = tensor.data {
            self.give_back(values);
        }
    }

    /// Takes back a vector.
    pub(crate) fn give_back(&self, values: Vec<f32>) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED {
            pool.push(values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back() {
        let pool = Pool::default();
        let first = pool.take(1000);
        let place = first.as_ptr();
        pool.give(Tensor { shape: vec![1000], data: Data::F32(first) });
        let again = pool.take(900);
        assert_eq!((again.len(), again.as_ptr()), (900, place));
        assert_eq!(pool.take(5), [0.0; 5]);
        // Of several the one that is filled best, grown where none is large enough.
        pool.give_back(again);
        pool.give_back(vec![0.0; 10]);
        pool.give_back(vec![0.0; 100]);
        let capacity = |values: Vec<f32>| {
            let capacity = values.capacity();
            pool.give_back(values);
            capacity
        };
        assert_eq!(
            (capacity(pool.take(11)), capacity(pool.copy(&[1.0; 3])), capacity(pool.take(101))),
            (100, 10, 1000)
        );
        assert_eq!(pool.copy(&[2.5; 2000]), [2.5; 2000]);
        assert!(capacity(pool.take(101)) > 100);
    }
}
