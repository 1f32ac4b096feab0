//! Signals that ask the program to end. The first one is a request, which verbs with something to save look at; the
//! second ends the program at once. Either way the exit code names the signal: 128 and its number.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Set by the first signal.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The exit code of the last signal; 0 before the first.
static CODE: AtomicUsize = AtomicUsize::new(0);

const HANDLED: [i32; 2] = [SIGINT, SIGTERM];
/// The exit code of an interrupt that no signal made.
const INTERRUPT: u8 = code(SIGINT);

const fn code(signal: i32) -> u8 {
    128 + signal as u8
}

/// Starts to listen. A registration that fails only means that its signal ends the program, as it ends any.
pub(crate) fn listen() {
    for signal in HANDLED {
        // Actions run in this order: the first signal finds the flag not yet set.
        let _ = flag::register_conditional_shutdown(signal, i32::from(code(signal)), &INTERRUPTED);
        let _ = flag::register_usize(signal, &CODE, usize::from(code(signal)));
        let _ = flag::register(signal, &INTERRUPTED);
    }
}

/// Whether a signal has come.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// The exit code of an interrupted program.
pub(crate) fn exit_code() -> u8 {
    u8::try_from(CODE.load(Ordering::Relaxed)).ok().filter(|code| *code != 0).unwrap_or(INTERRUPT)
}
