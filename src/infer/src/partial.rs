//! What an interrupted run leaves behind: finished stages, and the sums of the one it was in after some graph.
//!
//! Sums are kept as they are, in f64, and graphs are always added in one order, so a run that goes on from them gives
//! the bytes of a run that was never interrupted. A file is taken up where it is whole and of the same graphs, rows,
//! batches, engine and inputs; anything else is ignored and replaced.

use crate::{batch::StageRows, error::InferError, request::Partial, sums::Sums};
use blend_core::{Fingerprint, fingerprint::Fingerprinter};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MAGIC: &[u8; 16] = b"blend partial 1\n";
/// Writing may take this share of the time, one part in so many.
const SHARE: u32 = 20;

/// How far a run is.
#[derive(Debug, Default, Clone, PartialEq)]
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
    pub(crate) fn open(partial: Option<&'a Partial>, key: Fingerprint) -> (Self, State) {
        let state = partial.and_then(|partial| read(&partial.path, key).ok().flatten()).unwrap_or_default();
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

/// The state in the file at `path`; `None` where it is of another run, or damaged.
pub(crate) fn read(path: &Path, key: Fingerprint) -> io::Result<Option<State>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let Some((content, end)) = bytes.split_last_chunk::<32>() else { return Ok(None) };
    let mut hash = hasher();
    hash.raw(content);
    if hash.finish().as_bytes() != end {
        return Ok(None);
    }
    Ok(parse(&mut In(content), key))
}

struct In<'a>(&'a [u8]);

impl<'a> In<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.bytes(8)?.try_into().ok()?)).ok()
    }

    fn each<T, const N: usize>(&mut self, n: usize, of: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (chunks, _) = self.bytes(n.checked_mul(N)?)?.as_chunks::<N>();
        Some(chunks.iter().map(|chunk| of(*chunk)).collect())
    }
}

fn parse(from: &mut In<'_>, key: Fingerprint) -> Option<State> {
    if from.bytes(MAGIC.len())? != MAGIC || from.bytes(32)? != key.as_bytes() {
        return None;
    }
    let mut state = State::default();
    for _ in 0..from.count()? {
        let mut rows = || {
            let width = from.count()?;
            if width == usize::MAX {
                return Some(None);
            }
            let n = from.count()?;
            let values = from.each(n.checked_mul(width)?, f32::from_le_bytes)?;
            let predicted = from.each(n, |[flag]: [u8; 1]| flag != 0)?;
            Some(Some(StageRows { width, values, predicted }))
        };
        state.done.push([rows()?, rows()?]);
    }
    state.graphs = from.count()?;
    for sums in &mut state.sums {
        let width = from.count()?;
        let n = from.count()?;
        sums.width = (width != usize::MAX).then_some(width);
        sums.values = from.each(n.checked_mul(sums.width.unwrap_or(0))?, f64::from_le_bytes)?;
        sums.counts = from.each(n, u32::from_le_bytes)?;
    }
    from.0.is_empty().then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".partial");
        let key = Fingerprint::of(b"this run");
        let rows = StageRows { width: 2, values: vec![0.5, -1.0, 2.0, 3.5], predicted: vec![true, true] };
        let state = State {
            done: vec![[Some(rows), None]],
            graphs: 3,
            sums: [Sums { width: Some(1), values: vec![0.1, f64::MIN_POSITIVE], counts: vec![3, 0] }, Sums::default()],
        };
        let partial = Partial { path: path.clone(), inputs: key, every: Duration::ZERO };
        let (mut keeper, empty) = Keeper::open(Some(&partial), key);
        assert_eq!(empty, State::default());
        keeper.keep(&state.done, state.graphs, [&state.sums[0], &state.sums[1]], false).unwrap();
        assert_eq!(Keeper::open(Some(&partial), key).1, state);
        assert_eq!(Keeper::open(Some(&partial), Fingerprint::of(b"another")).1, State::default());
        // Any damage is seen.
        let whole = fs::read(&path).unwrap();
        for (at, cut) in [(0, None), (whole.len() / 2, None), (0, Some(whole.len() - 1)), (0, Some(3))] {
            let mut bytes = whole.clone();
            bytes[at] ^= u8::from(cut.is_none());
            bytes.truncate(cut.unwrap_or(whole.len()));
            fs::write(&path, bytes).unwrap();
            assert_eq!(Keeper::open(Some(&partial), key).1, State::default());
        }
        keeper.forget();
        assert!(!path.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary file is left");
    }
}
