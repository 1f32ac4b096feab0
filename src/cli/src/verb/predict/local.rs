//! `--executor local:N`: graphs in processes of their own on this machine.
//!
//! A process is this program with a hidden verb. It opens the same workspace, reads shards from its standard input (a
//! line each: stage, graph, first and last-plus-one batch) and answers on standard output: one byte, the exit code that
//! an error deserves or 0, the length as eight bytes, then the values or the message. When its input ends, so does it.

use crate::args::{Arguments, EngineName, Predict};
use blend_core::ModelId;
use blend_infer::{Executor, Remote, Shard, ShardError};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The hidden verb's name.
pub(crate) const VERB: &str = "predict-shards";
/// No answer of a shard is longer: a worker holds 32 MiB of values, or one batch.
const LONGEST: u64 = 1 << 34;

/// Starts processes for one model.
pub(crate) struct Local {
    workers: usize,
    command: Vec<OsString>,
    /// What the workers run on, in turn.
    devices: Vec<String>,
}

struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// `local:N`.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    let n = text.strip_prefix("local:").and_then(|n| n.parse().ok()).filter(|n| (1..=1024).contains(n));
    n.ok_or_else(|| format!("`{text}` is no executor: local:N, with N processes"))
}

impl Local {
    /// Processes that see what this one sees: the same workspace, competition, engine and batches; of several `gpus`
    /// one each, in turn.
    pub(crate) fn new(
        workers: usize,
        arguments: &Arguments,
        it: &Predict,
        gpus: &[u32],
        competition: &str,
        model: &ModelId,
    ) -> Self {
        let mut command: Vec<OsString> = vec!["-q".into(), "--threads".into(), "1".into(), "-C".into()];
        command.push(arguments.directory.clone().into());
        command.extend(["-c".into(), competition.into()]);
        if arguments.allow_outside {
            command.push("--allow-outside".into());
        }
        command.extend([VERB.into(), model.as_str().into()]);
        if !it.split.is_empty() {
            let names: Vec<&str> = it.split.iter().map(|split| split.name()).collect();
            command.extend(["--split".into(), names.join(",").into()]);
        }
        if let Some(size) = it.batch_size {
            command.extend(["--batch-size".into(), size.to_string().into()]);
        }
        if let Some(engine) = it.engine.engine {
            command.extend(["--engine".into(), if engine == EngineName::Ort { "ort" } else { "rten" }.into()]);
        }
        if let Some(library) = &it.engine.ort_lib {
            command.extend(["--ort-lib".into(), library.clone().into()]);
        }
        let mut devices: Vec<String> = gpus.iter().map(|gpu| format!("cuda:{gpu}")).collect();
        if devices.is_empty() {
            devices.push(it.device.clone());
        }
        Self { workers, command, devices }
    }
}

impl Executor for Local {
    fn workers(&self) -> usize {
        self.workers
    }

    fn start(&self, worker: usize) -> Result<Box<dyn Remote>, ShardError> {
        let failed = |error: io::Error| ShardError::Failed { message: format!("no process: {error}"), exit: 4 };
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .args(&self.command)
            .args(["--device", &self.devices[worker % self.devices.len()]])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ShardError::Failed { message: "no pipes to a process".to_owned(), exit: 5 });
        };
        Ok(Box::new(Process { child, to, from: BufReader::new(from) }))
    }
}

impl Process {
    fn ask(&mut self, shard: &Shard) -> io::Result<Result<Vec<u8>, ShardError>> {
        let Shard { stage, graph, batches } = shard;
        writeln!(self.to, "{stage} {graph} {} {}", batches.start, batches.end)?;
        self.to.flush()?;
        let mut head = [0; 9];
        self.from.read_exact(&mut head)?;
        let [exit, length @ ..] = head;
        let length = u64::from_le_bytes(length);
        if length > LONGEST {
            return Err(io::Error::other("its answer cannot be understood"));
        }
        let mut bytes = Vec::new();
        self.from.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(match exit {
            0 => Ok(bytes),
            exit => Err(ShardError::Failed { message: String::from_utf8_lossy(&bytes).into_owned(), exit }),
        })
    }
}

impl Remote for Process {
    fn run(&mut self, shard: &Shard) -> Result<Vec<u8>, ShardError> {
        self.ask(shard).unwrap_or_else(|error| {
            // What became of it says more than a broken pipe.
            let _ = self.child.kill();
            let end = self.child.wait().map_or_else(|_| error.to_string(), |status| format!("{status} ({error})"));
            Err(ShardError::Lost(end))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next shard on standard input; `None` at its end, or where a line is none.
pub(crate) fn next(from: &mut impl BufRead) -> Option<Shard> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    let numbers: Vec<usize> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [stage, graph, start, end] = numbers[..] else { return None };
    Some(Shard { stage, graph, batches: start..end })
}

/// Writes an answer.
pub(crate) fn answer(to: &mut impl Write, exit: u8, bytes: &[u8]) -> io::Result<()> {
    to.write_all(&[exit])?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_go_over_a_line_each() {
        let mut input = io::Cursor::new(b"0 3 0 17\n1 0 5 6\nnonsense\n".to_vec());
        assert_eq!(next(&mut input), Some(Shard { stage: 0, graph: 3, batches: 0..17 }));
        assert_eq!(next(&mut input), Some(Shard { stage: 1, graph: 0, batches: 5..6 }));
        assert_eq!(next(&mut input), None);
        assert_eq!(next(&mut io::Cursor::new(Vec::new())), None);
        assert_eq!(workers("local:3"), Ok(3));
        assert!(workers("local:0").is_err() && workers("remote:3").is_err());
    }
}
