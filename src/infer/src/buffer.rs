//! Arrays that may be larger than memory: from some size on they lie in a file without a name, whose pages come and go
//! as there is room.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::{
    fmt, io,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    path::Path,
};

/// Bytes of an array that stay in memory.
const IN_MEMORY: usize = 64 << 20;
/// Bytes from which on an array asks for large pages: to be given small ones takes as long as to write what they hold.
const LARGE: usize = 4 << 20;

/// An array of plain values.
pub(crate) enum Buffer<T> {
    Memory(Vec<T>),
    Map { map: MmapMut, in_file: bool, of: PhantomData<T> },
}

impl<T: Pod> Buffer<T> {
    /// `n` zeros, in a file in the folder `scratch` where they are many.
    pub(crate) fn zeros(n: usize, scratch: Option<&Path>) -> io::Result<Self> {
        let bytes = n.saturating_mul(size_of::<T>());
        match scratch {
            Some(folder) if bytes > IN_MEMORY => {
                let file = tempfile::tempfile_in(folder)?;
                file.set_len(bytes as u64)?;
                Ok(Self::Map { map: map(&file)?, in_file: true, of: PhantomData })
            }
            _ if bytes >= LARGE => {
                let map = MmapMut::map_anon(bytes)?;
                // A wish: without it the pages are small.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Ok(Self::Map { map, in_file: false, of: PhantomData })
            }
            _ => Ok(vec![T::zeroed(); n].into()),
        }
    }

    /// Bytes that lie in a file.
    pub(crate) fn filed(&self) -> u64 {
        match self {
            Self::Map { map, in_file: true, .. } => map.len() as u64,
            Self::Map { .. } | Self::Memory(_) => 0,
        }
    }
}

#[allow(unsafe_code)]
fn map(file: &std::fs::File) -> io::Result<MmapMut> {
    // SAFETY: the file has no name, so that nobody else can open it, and this process keeps no other handle to it:
    // nothing changes or cuts off the pages behind the map.
    unsafe { MmapMut::map_mut(file) }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Memory(values)
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Self::Memory(values) => values,
            Self::Map { map, .. } => bytemuck::cast_slice(map),
        }
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Memory(values) => values,
            Self::Map { map, .. } => bytemuck::cast_slice_mut(map),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_arrays_lie_in_a_file_that_nobody_sees() {
        let folder = tempfile::tempdir().unwrap();
        let n = IN_MEMORY / 8 + 1;
        let mut large = Buffer::<f64>::zeros(n, Some(folder.path())).unwrap();
        assert_eq!((large.len(), large.filed()), (n, 8 * n as u64));
        assert!(large.iter().all(|value| *value == 0.0));
        large[n - 1] = 2.5;
        assert_eq!(large[n - 2..], [0.0, 2.5]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for n in [5, LARGE / 8, IN_MEMORY / 8] {
            let mut in_memory = Buffer::<f64>::zeros(n, Some(folder.path())).unwrap();
            assert_eq!((in_memory.len(), in_memory.filed()), (n, 0));
            in_memory[n - 1] = 2.5;
            assert_eq!(in_memory[n - 2..], [0.0, 2.5]);
        }
        assert_eq!(Buffer::<f64>::zeros(n, None).unwrap().filed(), 0);
        assert!(Buffer::<f64>::zeros(n, Some(Path::new("/nonexistent"))).is_err());
        assert_eq!(Buffer::from(vec![1.0_f32, 2.0]), Buffer::from(vec![1.0, 2.0]));
    }
}
