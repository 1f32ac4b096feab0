//! Signals that ask the program to end. The first one is a request, which verbs with something to save look at; a later
//! one ends the program at once. Those right after the first are the same request: `timeout` sends its signal to the
//! program and to its group. The exit code names the signal: 128 and its number.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    low_level,
};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Instant,
};

/// Set by the first signal.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The exit code of the last signal; 0 before the first.
static CODE: AtomicUsize = AtomicUsize::new(0);
/// When the first signal came, in milliseconds from 1 on; 0 before it.
static FIRST: AtomicU64 = AtomicU64::new(0);

const HANDLED: [i32; 2] = [SIGINT, SIGTERM];
/// The exit code of an interrupt that no signal made.
const INTERRUPT: u8 = code(SIGINT);
/// Milliseconds within which signals are one request.
const TOGETHER: u64 = 500;

const fn code(signal: i32) -> u8 {
    128 + signal as u8
}

/// Starts to listen. A registration that fails only means that its signal ends the program, as it ends any.
#[allow(unsafe_code)]
pub(crate) fn listen() {
    let started = Instant::now();
    for signal in HANDLED {
        // SAFETY: what a signal interrupts may hold any lock, so its handler may take none and allocate nothing.
        // `heard` reads the clock, which POSIX allows there, stores to atomics, and may end the process as it is.
        let _ = unsafe { low_level::register(signal, move || heard(signal, started)) };
    }
}

/// What a signal does.
fn heard(signal: i32, started: Instant) {
    let now = started.elapsed().as_millis() as u64 + 1;
    let first = FIRST.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|first| first);
    if first != 0 && now.saturating_sub(first) > TOGETHER {
        low_level::exit(i32::from(code(signal)));
    }
    CODE.store(usize::from(code(signal)), Ordering::SeqCst);
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether a signal has come.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The exit code of an interrupted program.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(CODE.load(Ordering::Relaxed)).ok().filter(|code| *code != 0).unwrap_or(INTERRUPT)
}
