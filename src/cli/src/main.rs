//! The door: arguments to a plan, a verb, a report and an exit code. The only room that prints or exits.
#![allow(clippy::print_stderr)] // printing is this room's job

mod args;
mod audit;
mod context;
mod failure;
mod hints;
mod labels;
mod leaderboard;
mod outputs;
mod parts;
mod report;
mod signals;
mod verb;

use args::{Arguments, Verb};
use clap::Parser;
use report::Screen;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A reader that has gone away is no error of ours.
            let _ = error.print();
            // Who asked for JSON gets the error in it, too: the arguments were not understood, so they are searched.
            if code != 0 && std::env::args_os().any(|argument| argument == "--json") {
                report::usage_as_json(&error.to_string());
            }
            return ExitCode::from(code);
        }
    };
    signals::listen();
    quiet_handled_panics();
    log(arguments.verbose, arguments.quiet);
    let screen = Screen::new(&arguments);
    if let Some(threads) = arguments.threads {
        // Fails only where a pool exists already, and nothing made one before this line.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&arguments, &screen)));
    match result {
        Ok(Ok(found)) => match screen.flush() {
            Ok(()) => ExitCode::from(if signals::interrupted() { signals::exit_code() } else { u8::from(found) }),
            Err(failure) => report(&screen, &failure),
        },
        Ok(Err(failure)) => report(&screen, &failure),
        Err(_) => {
            eprintln!("hint: this is a bug of blend itself; the command and the lines above are what a report needs");
            ExitCode::from(5)
        }
    }
}

/// A damaged file can make a table library panic; the store room turns that into an error, and nobody needs to see both.
fn quiet_handled_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !blend_store::panic_is_handled() {
            usual(panic);
        }
    }));
}

/// Runs the verb; `true` where something was found (exit code 1).
fn run(arguments: &Arguments, screen: &Screen) -> Result<bool, failure::Failure> {
    match &arguments.verb {
        Verb::Init(it) => verb::init::run(arguments, it, screen),
        Verb::Import(it) => verb::import::run(arguments, it, screen),
        Verb::Predict(it) => verb::predict::run(arguments, it, screen),
        Verb::PredictShards(it) => verb::predict::serve(arguments, it, screen),
        Verb::List(it) => verb::list::run(arguments, it, screen),
        Verb::Audit(it) => verb::audit::run(arguments, it, screen),
        Verb::Search(it) => verb::search::run(arguments, it, screen),
        Verb::Submit(it) => verb::submit::run(arguments, it, screen),
        Verb::Lb(it) => verb::lb::run(arguments, it, screen),
        Verb::Select(it) => verb::select::run(arguments, it, screen),
        Verb::Report(it) => verb::report::run(arguments, it, screen),
        Verb::Verify(it) => verb::verify::run(arguments, it, screen),
        Verb::Doctor(it) => verb::doctor::run(arguments, it, screen),
        Verb::Runtime(it) => verb::runtime::run(arguments, it, screen),
    }
}

fn report(screen: &Screen, failure: &failure::Failure) -> ExitCode {
    screen.failure(failure);
    ExitCode::from(failure.exit)
}

fn log(verbose: u8, quiet: bool) {
    use tracing_subscriber::EnvFilter;
    let level = if quiet { "error" } else { ["warn", "info", "debug"][usize::from(verbose.min(2))] };
    let filter = EnvFilter::try_from_env("BLEND_LOG").unwrap_or_else(|_| {
        // The inference library logs each graph it loads; its own level stays one below ours.
        EnvFilter::new(format!("{level},ort={}", if verbose > 1 { "info" } else { "error" }))
    });
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().try_init();
}
