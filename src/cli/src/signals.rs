//! Signals that ask the program to end. The first one is a request, which verbs with something to save look at; a later
//! one ends the program at once. Those right after the first are the same request: `timeout` sends its signal to the
//! program and to its group. The exit code names the signal: 128 and its number.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Set by the first signal.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The exit code of the last signal; 0 before the first.
static CODE: AtomicUsize = AtomicUsize::new(0);

const HANDLED: [i32; 2] = [SIGINT, SIGTERM];
/// The exit code of an interrupt that no signal made.
const INTERRUPT: u8 = code(SIGINT);
/// The time within which signals are one request.
const TOGETHER: Duration = Duration::from_millis(500);

const fn code(signal: i32) -> u8 {
    128 + signal as u8
}

/// Starts to listen, in a thread of its own. Where that fails a signal ends the program, as it ends any.
pub(crate) fn listen() {
    let Ok(mut signals) = Signals::new(HANDLED) else { return };
    let heard = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            if first.get_or_insert_with(Instant::now).elapsed() > TOGETHER {
                low_level::exit(i32::from(code(signal)));
            }
            CODE.store(usize::from(code(signal)), Ordering::SeqCst);
            INTERRUPTED.store(true, Ordering::SeqCst);
        }
    };
    let _ = thread::Builder::new().name("signals".to_owned()).spawn(heard);
}

/// Whether a signal has come.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The exit code of an interrupted program.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(CODE.load(Ordering::Relaxed)).ok().filter(|code| *code != 0).unwrap_or(INTERRUPT)
}
