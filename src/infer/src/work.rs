//! Items of work over threads, with results taken in the items' order: so sums are the same on any number of threads.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

struct Turn<C, E> {
    next: usize,
    commit: C,
    failed: Option<(usize, E)>,
    panicked: bool,
}

/// Runs `work` for the items `0..n_items` on `n_workers` threads, each with a state of its own, and hands the results to
/// `commit` one by one in order. Results that are early wait, at most one per worker.
///
/// Gives the error of the first item that failed, whatever the threads did.
pub(crate) fn ordered<S, R, E, I, W, C>(n_items: usize, n_workers: usize, init: I, work: W, commit: C) -> Result<(), E>
where
    E: Send,
    I: Fn() -> S + Sync,
    W: Fn(&mut S, usize) -> Result<R, E> + Sync,
    C: FnMut(usize, R) -> Result<(), E> + Send,
{
    let next_item = AtomicUsize::new(0);
    let turn = Mutex::new(Turn { next: 0, commit, failed: None, panicked: false });
    let moved = Condvar::new();
    let run = || {
        let _guard = OnPanic(|| {
            turn.lock().unwrap_or_else(PoisonError::into_inner).panicked = true;
            moved.notify_all();
        });
        let mut state = init();
        loop {
            let item = next_item.fetch_add(1, Ordering::Relaxed);
            if item >= n_items {
                return;
            }
            let result = work(&mut state, item);
            let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            let stop = |turn: &Turn<C, E>| turn.panicked || turn.failed.as_ref().is_some_and(|(at, _)| *at < item);
            while turn.next != item && !stop(&turn) {
                turn = moved.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            if stop(&turn) {
                return;
            }
            let done = result.and_then(|result| (turn.commit)(item, result));
            match done {
                Ok(()) => turn.next += 1,
                Err(error) => turn.failed = Some((item, error)),
            }
            let failed = turn.failed.is_some();
            drop(turn);
            moved.notify_all();
            if failed {
                return;
            }
        }
    };
    match n_workers.min(n_items) {
        0 => {}
        1 => run(),
        n => thread::scope(|scope| (0..n).for_each(|_| drop(scope.spawn(run)))),
    }
    let turn = turn.into_inner().unwrap_or_else(PoisonError::into_inner);
    turn.failed.map_or(Ok(()), |(_, error)| Err(error))
}

struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for workers in [1, 2, 7] {
            let mut seen = Vec::new();
            let work = |_: &mut (), item: usize| {
                thread::sleep(Duration::from_micros((item as u64 * 7919) % 300));
                Ok::<_, ()>(item * item)
            };
            let commit = |item, square| {
                seen.push((item, square));
                Ok(())
            };
            ordered(40, workers, || (), work, commit).unwrap();
            assert_eq!(seen, (0..40).map(|item| (item, item * item)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_wins() {
        for workers in [1, 3, 8] {
            let mut committed = 0;
            let work = |_: &mut (), item: usize| {
                // The later failure is there first.
                thread::sleep(Duration::from_millis(if item == 5 { 30 } else { 1 }));
                if item == 5 || item == 6 { Err(item) } else { Ok(()) }
            };
            let commit = |_, ()| {
                committed += 1;
                Ok(())
            };
            assert_eq!(ordered(20, workers, || (), work, commit), Err(5));
            assert_eq!(committed, 5);
        }
    }

    #[test]
    fn a_panic_ends_the_others() {
        let panicked = std::panic::catch_unwind(|| {
            let work = |_: &mut (), item: usize| if item == 2 { panic!("planted") } else { Ok::<_, ()>(()) };
            ordered(50, 4, || (), work, |_, ()| Ok(()))
        });
        assert!(panicked.is_err());
    }
}
