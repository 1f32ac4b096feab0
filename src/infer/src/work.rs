//! Items of work over threads, with results taken in the items' order: so sums are the same on any number of threads.
//! Beside each thread that works another one prepares what comes next, and the caller's takes what is done.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
};

/// Whose result is taken next.
struct Turn<R, E> {
    next: usize,
    /// Results that wait for their turn.
    done: BTreeMap<usize, Result<R, E>>,
    /// Nothing more is taken: an item failed, or a thread panicked.
    over: bool,
}

/// Pieces that are prepared and not taken yet.
const AHEAD: usize = 2;

/// What goes from the thread that prepares to the one that works.
enum Fed<P, E> {
    Item(usize),
    Piece(P),
    End(Result<(), E>),
}

/// The pieces of one item, as they are ready.
pub(crate) struct Pieces<'a, P, E> {
    from: &'a Receiver<Fed<P, E>>,
    /// Whether the item's end was met; `None` where the other thread is gone.
    ended: Option<bool>,
}

impl<P, E> Iterator for Pieces<'_, P, E> {
    type Item = Result<P, E>;

    fn next(&mut self) -> Option<Result<P, E>> {
        if self.ended != Some(false) {
            return None;
        }
        let (ended, piece) = match self.from.recv() {
            Ok(Fed::Piece(piece)) => (Some(false), Some(Ok(piece))),
            Ok(Fed::End(Ok(()))) => (Some(true), None),
            Ok(Fed::End(Err(error))) => (Some(true), Some(Err(error))),
            Ok(Fed::Item(_)) | Err(_) => (None, None),
        };
        self.ended = ended;
        piece
    }
}

/// Hands a piece over; `false` where nobody wants more.
pub(crate) type Emit<'e, P> = dyn FnMut(P) -> bool + 'e;

/// Runs the items `0..n_items` on `n_workers` pairs of threads: one calls `prepare`, which emits an item's pieces, the
/// other calls `work` with a state of its own and the pieces as they come, a few ahead. Results go to `commit` in this
/// thread, one by one in the items' order, while the workers go on; those that are early wait, at most one per worker (a
/// few where there is one) and the one in its hands.
///
/// Gives the error of the first item that failed, whatever the threads did.
pub(crate) fn ordered<P, S, R, E>(
    n_items: usize,
    n_workers: usize,
    prepare: impl Fn(usize, &mut Emit<'_, P>) -> Result<(), E> + Sync,
    init: impl Fn(usize) -> S + Sync,
    work: impl Fn(&mut S, usize, &mut Pieces<'_, P, E>) -> Result<R, E> + Sync,
    mut commit: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E>
where
    P: Send,
    R: Send,
    E: Send,
{
    let next_item = AtomicUsize::new(0);
    let turn = Mutex::new(Turn { next: 0, done: BTreeMap::new(), over: false });
    let moved = Condvar::new();
    let lock = || turn.lock().unwrap_or_else(PoisonError::into_inner);
    let end = || {
        lock().over = true;
        moved.notify_all();
    };
    let feed = |to: SyncSender<Fed<P, E>>, asked: Receiver<()>| {
        let _guard = OnPanic(end);
        while asked.recv().is_ok() {
            let item = next_item.fetch_add(1, Ordering::Relaxed);
            if item >= n_items || to.send(Fed::Item(item)).is_err() {
                return;
            }
            let mut wanted = true;
            let end = prepare(item, &mut |piece| {
                wanted = to.send(Fed::Piece(piece)).is_ok();
                wanted
            });
            if !wanted || to.send(Fed::End(end)).is_err() {
                return;
            }
        }
    };
    // Among several an item is taken when its turn has come, so that none is hoarded while others wait for it; a worker
    // that is alone may have the next one prepared, and its results may wait.
    let early = if n_workers == 1 { AHEAD } else { 0 };
    let waiting = n_workers + early;
    let run = |worker: usize, from: Receiver<Fed<P, E>>, ask: Sender<()>| {
        let _guard = OnPanic(end);
        let mut state = init(worker);
        // Who is asked may have gone, after the last item: then there is nothing to receive, either.
        let next = || {
            let _ = ask.send(());
            from.recv()
        };
        for _ in 0..early {
            let _ = ask.send(());
        }
        while let Ok(Fed::Item(item)) = next() {
            let mut pieces = Pieces { from: &from, ended: Some(false) };
            let result = work(&mut state, item, &mut pieces);
            let failed = result.is_err();
            if !failed {
                // To the end, also where the work needed none of them.
                pieces.by_ref().for_each(drop);
                if pieces.ended.is_none() {
                    return;
                }
            }
            let mut turn = lock();
            while item >= turn.next + waiting && !turn.over {
                turn = moved.wait(turn).unwrap_or_else(PoisonError::into_inner);
            }
            turn.done.insert(item, result);
            let over = turn.over || failed;
            drop(turn);
            moved.notify_all();
            if over {
                return;
            }
        }
    };
    let mut take = || {
        let _guard = OnPanic(end);
        for item in 0..n_items {
            let mut turn = lock();
            let result = loop {
                match turn.done.remove(&item) {
                    Some(result) => break result,
                    // A thread panicked: the scope passes that on.
                    None if turn.over => return Ok(()),
                    None => turn = moved.wait(turn).unwrap_or_else(PoisonError::into_inner),
                }
            };
            // Without the lock: the workers go on.
            drop(turn);
            if let Err(error) = result.and_then(|result| commit(item, result)) {
                end();
                return Err(error);
            }
            lock().next += 1;
            moved.notify_all();
        }
        Ok(())
    };
    thread::scope(|scope| {
        let (feed, run) = (&feed, &run);
        for worker in 0..n_workers.min(n_items) {
            let ((to, from), (ask, asked)) = (mpsc::sync_channel(AHEAD), mpsc::channel());
            scope.spawn(move || feed(to, asked));
            scope.spawn(move || run(worker, from, ask));
        }
        take()
    })
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
    use std::time::{Duration, Instant};

    /// Every item in one piece, its number.
    fn itself<E>(item: usize, emit: &mut Emit<'_, usize>) -> Result<(), E> {
        emit(item);
        Ok(())
    }

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for workers in [1, 2, 7] {
            let mut seen = Vec::new();
            let prepare = |item: usize, emit: &mut Emit<'_, usize>| {
                (0..item % 5).take_while(|piece| emit(item * 10 + piece)).for_each(drop);
                Ok::<_, ()>(())
            };
            let work = |_: &mut (), item: usize, pieces: &mut Pieces<'_, usize, ()>| {
                thread::sleep(Duration::from_micros((item as u64 * 7919) % 300));
                // Some items leave pieces over.
                pieces.take(if item.is_multiple_of(3) { 2 } else { 9 }).sum::<Result<usize, ()>>()
            };
            let commit = |item, sum| {
                seen.push((item, sum));
                Ok(())
            };
            ordered(40, workers, prepare, |_| (), work, commit).unwrap();
            let sum = |item: usize| {
                (0..(item % 5).min(if item.is_multiple_of(3) { 2 } else { 9 })).map(|piece| item * 10 + piece).sum()
            };
            assert_eq!(seen, (0..40).map(|item| (item, sum(item))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_failure_wins() {
        for workers in [1, 3, 8] {
            for early in [false, true] {
                let mut committed = 0;
                let prepare = |item: usize, emit: &mut Emit<'_, usize>| {
                    emit(item);
                    if early && item == 5 { Err(item) } else { Ok(()) }
                };
                let work = |_: &mut (), item: usize, pieces: &mut Pieces<'_, usize, usize>| {
                    // The later failure is there first.
                    thread::sleep(Duration::from_millis(if item == 5 { 30 } else { 1 }));
                    pieces.try_for_each(|piece| piece.map(drop))?;
                    if item == 5 || item == 6 { Err(item) } else { Ok(()) }
                };
                let commit = |_, ()| {
                    committed += 1;
                    Ok(())
                };
                assert_eq!(ordered(20, workers, prepare, |_| (), work, commit), Err(5));
                assert_eq!(committed, 5);
            }
        }
    }

    #[test]
    fn a_panic_ends_the_others() {
        for planted in 0..3 {
            let panicked = std::panic::catch_unwind(|| {
                let panics = |at: usize, item: usize| assert!(at != planted || item != 2, "planted");
                let prepare = |item: usize, emit: &mut Emit<'_, usize>| {
                    panics(0, item);
                    itself(item, emit)
                };
                let work = |_: &mut (), item: usize, pieces: &mut Pieces<'_, usize, ()>| {
                    panics(1, item);
                    pieces.try_for_each(|piece| piece.map(drop))
                };
                let commit = |item, ()| {
                    panics(2, item);
                    Ok(())
                };
                ordered(50, 4, prepare, |_| (), work, commit)
            });
            assert!(panicked.is_err());
        }
    }

    #[test]
    fn no_worker_takes_an_item_that_another_could_do() {
        let taken = AtomicUsize::new(0);
        let prepare = |item: usize, emit: &mut Emit<'_, usize>| {
            taken.fetch_add(1, Ordering::Relaxed);
            itself(item, emit)
        };
        let done = AtomicUsize::new(0);
        let work = |_: &mut (), _: usize, pieces: &mut Pieces<'_, usize, ()>| {
            pieces.try_for_each(|piece| piece.map(drop))?;
            thread::sleep(Duration::from_millis(1));
            // Three in hand, three that wait for their turn.
            assert!(taken.load(Ordering::Relaxed) <= done.load(Ordering::Relaxed) + 6);
            Ok(())
        };
        let commit = |_, ()| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        ordered(60, 3, prepare, |_| (), work, commit).unwrap();
    }

    #[test]
    fn the_next_pieces_are_prepared_while_one_is_worked_on() {
        let prepared = AtomicUsize::new(0);
        let prepare = |item: usize, emit: &mut Emit<'_, usize>| {
            prepared.fetch_add(1, Ordering::Relaxed);
            itself(item, emit)
        };
        let work = |_: &mut (), item: usize, pieces: &mut Pieces<'_, usize, ()>| {
            assert_eq!(pieces.next(), Some(Ok(item)));
            let start = Instant::now();
            while prepared.load(Ordering::Relaxed) < (item + 2).min(30) && start.elapsed() < Duration::from_secs(20) {
                thread::yield_now();
            }
            assert_eq!(prepared.load(Ordering::Relaxed), (item + 2).min(30));
            Ok(())
        };
        ordered(30, 1, prepare, |_| (), work, |_, ()| Ok(())).unwrap();
    }

    #[test]
    fn work_goes_on_while_a_result_is_taken() {
        let begun = AtomicUsize::new(0);
        let work = |_: &mut (), _: usize, pieces: &mut Pieces<'_, usize, ()>| {
            begun.fetch_add(1, Ordering::Relaxed);
            pieces.try_for_each(|piece| piece.map(drop))
        };
        let commit = |item: usize, ()| {
            let start = Instant::now();
            while begun.load(Ordering::Relaxed) < (item + 2).min(20) && start.elapsed() < Duration::from_secs(20) {
                thread::yield_now();
            }
            assert!(begun.load(Ordering::Relaxed) >= (item + 2).min(20));
            Ok(())
        };
        ordered(20, 1, itself, |_| (), work, commit).unwrap();
    }
}
