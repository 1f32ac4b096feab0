//! What an interrupted run leaves behind: finished stages, and the sums of the one it was in after some graph.
//!
//! Sums are kept as they are, in f64, and graphs are always added in one order, so a run that goes on from them gives
//! the bytes of a run that was never interrupted. A file is taken up where it is whole and of the same graphs, rows,
//! batches, engine and inputs; anything else is ignored and replaced.

use crate::{batch::StageRows, buffer::Buffer, error::InferError, request::Partial, sums::Sums};
use blend_core::{Fingerprint, fingerprint::Fingerprinter};
use bytemuck::Pod;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MAGIC: &[u8; 16] = b"blend partial 1\n";
/// Writing may take this share of the time, one part in so many.
const SHARE: u32 = 20;

/// How far a run is.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Finished stages, training and test rows of each.
    pub(crate) done: Vec<[Option<StageRows>; 2]>,
    /// Graphs of the next stage that are in the sums.
    pub(crate) graphs: usize,
    pub(crate) sums: [Sums; 2],
}

/// Writes the state now and then.
pub(crate) struct Keeper<'a> {
    partial: Option<&'a Partial>,
    key: Fingerprint,
    /// When it was last written, and how long that took.
    last: (Instant, Duration),
}

impl<'a> Keeper<'a> {
    /// Takes up what an earlier run left, where there is something of the same `key`.
    pub(crate) fn open(partial: Option<&'a Partial>, key: Fingerprint, scratch: Option<&Path>) -> (Self, State) {
        let state = partial.and_then(|partial| read(&partial.path, key, scratch).ok().flatten()).unwrap_or_default();
        (Self { partial, key, last: (Instant::now(), Duration::ZERO) }, state)
    }

    /// Writes the state where it is due; `parts` are finished stages, the graphs and the sums.
    pub(crate) fn keep(
        &mut self,
        done: &[[Option<StageRows>; 2]],
        graphs: usize,
        sums: [&Sums; 2],
        at_once: bool,
    ) -> Result<(), InferError> {
        let Some(partial) = self.partial else { return Ok(()) };
        let (when, cost) = self.last;
        if !at_once && when.elapsed() < (cost * SHARE).min(partial.every) {
            return Ok(());
        }
        let start = Instant::now();
        write(&partial.path, self.key, done, graphs, sums)
            .map_err(|source| InferError::Partial { path: partial.path.clone(), source })?;
        self.last = (Instant::now(), start.elapsed());
        Ok(())
    }

    /// The run is done.
    pub(crate) fn forget(&self) {
        if let Some(partial) = self.partial {
            // Left where it cannot be removed: its key keeps it from being taken for another run's.
            let _ = fs::remove_file(&partial.path);
        }
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

fn write(
    path: &Path,
    key: Fingerprint,
    done: &[[Option<StageRows>; 2]],
    graphs: usize,
    sums: [&Sums; 2],
) -> io::Result<()> {
    let temporary = temporary(path);
    let result = (|| {
        let mut out = Out { file: BufWriter::with_capacity(1 << 20, File::create(&temporary)?), hash: hasher() };
        out.bytes(MAGIC)?;
        out.bytes(key.as_bytes())?;
        out.count(done.len())?;
        for rows in done.iter().flatten() {
            match rows {
                None => out.count(usize::MAX)?,
                Some(rows) => {
                    out.count(rows.width)?;
                    out.count(rows.predicted.len())?;
                    out.each(&rows.values, |value| value.to_le_bytes())?;
                    out.each(&rows.predicted, |flag| [u8::from(*flag)])?;
                }
            }
        }
        out.count(graphs)?;
        for sums in sums {
            out.count(sums.width.unwrap_or(usize::MAX))?;
            out.count(sums.counts.len())?;
            out.each(&sums.values, |value| value.to_le_bytes())?;
            out.each(&sums.counts, |count| count.to_le_bytes())?;
        }
        let Out { mut file, hash } = out;
        file.write_all(hash.finish().as_bytes())?;
        file.into_inner().map_err(|error| error.into_error())?.sync_data()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn hasher() -> Fingerprinter {
    Fingerprinter::new("partial results")
}

struct Out {
    file: BufWriter<File>,
    hash: Fingerprinter,
}

impl Out {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.raw(bytes);
        self.file.write_all(bytes)
    }

    fn count(&mut self, n: usize) -> io::Result<()> {
        self.bytes(&(n as u64).to_le_bytes())
    }

    fn each<T, const N: usize>(&mut self, values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(N << 12);
        for values in values.chunks(1 << 12) {
            chunk.clear();
            values.iter().for_each(|value| chunk.extend_from_slice(&bytes(value)));
            self.bytes(&chunk)?;
        }
        Ok(())
    }
}

/// The state in the file at `path`; `None` where it is of another run, or damaged. Large arrays go to files in `scratch`.
pub(crate) fn read(path: &Path, key: Fingerprint, scratch: Option<&Path>) -> io::Result<Option<State>> {
    let file = File::open(path)?;
    let Some(length) = file.metadata()?.len().checked_sub(32) else { return Ok(None) };
    // Before any of it is believed, all of it is looked at.
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut hash, mut left) = (hasher(), length);
    while left > 0 {
        let bytes = reader.fill_buf()?;
        let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if n == 0 {
            return Ok(None);
        }
        hash.raw(&bytes[..n]);
        reader.consume(n);
        left -= n as u64;
    }
    let mut end = [0; 32];
    reader.read_exact(&mut end)?;
    if *hash.finish().as_bytes() != end {
        return Ok(None);
    }
    reader.rewind()?;
    parse(&mut In { from: reader, left: length }, key, scratch)
}

struct In {
    from: BufReader<File>,
    /// Bytes that are left.
    left: u64,
}

impl In {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.left = self.left.checked_sub(N as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn count(&mut self) -> io::Result<usize> {
        usize::try_from(u64::from_le_bytes(self.bytes()?)).map_err(io::Error::other)
    }

    fn each<T: Pod, const N: usize>(
        &mut self,
        n: Option<usize>,
        scratch: Option<&Path>,
        of: impl Fn([u8; N]) -> T,
    ) -> io::Result<Buffer<T>> {
        let n = n.filter(|n| (*n as u64).checked_mul(N as u64).is_some_and(|bytes| bytes <= self.left));
        let mut values = Buffer::zeros(n.ok_or(io::ErrorKind::UnexpectedEof)?, scratch)?;
        for value in values.iter_mut() {
            *value = of(self.bytes()?);
        }
        Ok(values)
    }
}

fn parse(from: &mut In, key: Fingerprint, scratch: Option<&Path>) -> io::Result<Option<State>> {
    if from.bytes::<16>()? != *MAGIC || from.bytes::<32>()? != *key.as_bytes() {
        return Ok(None);
    }
    let mut state = State::default();
    for _ in 0..from.count()? {
        let mut rows = || {
            let width = from.count()?;
            if width == usize::MAX {
                return Ok::<_, io::Error>(None);
            }
            let n = from.count()?;
            let values = from.each(n.checked_mul(width), scratch, f32::from_le_bytes)?;
            let predicted = from.each(Some(n), None, |[flag]: [u8; 1]| flag)?.iter().map(|flag| *flag != 0).collect();
            Ok(Some(StageRows { width, values, predicted }))
        };
        state.done.push([rows()?, rows()?]);
    }
    state.graphs = from.count()?;
    for sums in &mut state.sums {
        let width = from.count()?;
        let n = from.count()?;
        sums.width = (width != usize::MAX).then_some(width);
        sums.values = from.each(n.checked_mul(sums.width.unwrap_or(0)), scratch, f64::from_le_bytes)?;
        sums.counts = from.each(Some(n), scratch, u32::from_le_bytes)?;
    }
    Ok((from.left == 0).then_some(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".partial");
        let key = Fingerprint::of(b"this run");
        let rows = StageRows { width: 2, values: vec![0.5, -1.0, 2.0, 3.5].into(), predicted: vec![true, true] };
        let state = State {
            done: vec![[Some(rows), None]],
            graphs: 3,
            sums: [
                Sums {
                    width: Some(1),
                    values: vec![0.1, f64::MIN_POSITIVE, 1.0].into(),
                    counts: vec![3, 0, 1].into(),
                    turned: 0,
                },
                Sums::default(),
            ],
        };
        let partial = Partial { path: path.clone(), inputs: key, every: Duration::ZERO };
        let (mut keeper, empty) = Keeper::open(Some(&partial), key, None);
        assert_eq!(empty, State::default());
        keeper.keep(&state.done, state.graphs, [&state.sums[0], &state.sums[1]], false).unwrap();
        assert_eq!(Keeper::open(Some(&partial), key, None).1, state);
        assert_eq!(Keeper::open(Some(&partial), Fingerprint::of(b"another"), None).1, State::default());
        // Any damage is seen.
        let whole = fs::read(&path).unwrap();
        for (at, cut) in [(0, None), (whole.len() / 2, None), (0, Some(whole.len() - 1)), (0, Some(3))] {
            let mut bytes = whole.clone();
            bytes[at] ^= u8::from(cut.is_none());
            bytes.truncate(cut.unwrap_or(whole.len()));
            fs::write(&path, bytes).unwrap();
            assert_eq!(Keeper::open(Some(&partial), key, None).1, State::default());
        }
        keeper.forget();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary file is left");
    }
}
