//! Where the values lie in an uncompressed Arrow IPC file (Feather v2), found without reading them.
//!
//! polars can map such a file too, but trusts its offsets; here every length is checked against the bytes there are,
//! so that the worst a damaged file can do is be refused.

use blend_core::BLOCK_ROWS;
use polars_arrow::io::ipc::format::ipc::{
    BlockRef, Endianness, FieldRef, FooterRef, MessageHeaderRef, MessageRef, Precision, RecordBatchRef, TypeRef,
    planus::ReadAsRoot,
};
use std::{collections::BTreeMap, ops::Range};

const MAGIC: &[u8; 6] = b"ARROW1";

/// What a file says about itself.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Schema metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// The first field's name.
    pub(crate) id_name: String,
    /// Names of the other fields.
    pub(crate) columns: Vec<String>,
    /// Where things lie, `None` where the file is sound but not in our layout (compressed, other batches, mixed types,
    /// nulls): it must be copied.
    pub(crate) place: Option<Place>,
}

/// Byte ranges of ids and values.
#[derive(Debug)]
pub(crate) struct Place {
    /// Whether values are f64.
    pub(crate) wide: bool,
    /// Rows.
    pub(crate) n_rows: usize,
    /// Ids, one entry per record batch.
    pub(crate) ids: Vec<IdBytes>,
    /// First byte of the values, `(n_blocks, n_outputs)`.
    pub(crate) starts: Vec<usize>,
}

/// The ids of one record batch.
#[derive(Debug)]
pub(crate) enum IdBytes {
    /// i64, little-endian.
    Int(Range<usize>),
    /// Offsets (of 4 or 8 bytes) and UTF-8 text.
    Text { wide: bool, offsets: Range<usize>, text: Range<usize> },
}

/// Why a file is no Arrow IPC file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IpcError {
    #[error("it does not start as an Arrow IPC file (Feather version 2)")]
    Magic,
    #[error("it is a Feather file of version 1; write it again with version 2")]
    FeatherV1,
    #[error("its end is missing, as after an interrupted copy")]
    CutOff,
    #[error("{0} lies outside of the file")]
    Outside(&'static str),
    #[error("its {0} is missing")]
    Missing(&'static str),
    #[error("text id in row {0} is not valid")]
    Id(usize),
    #[error("its tables cannot be read")]
    Flatbuffer(#[from] polars_arrow::io::ipc::format::ipc::planus::Error),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FieldType {
    Int64,
    Text { wide: bool },
    Float { wide: bool },
    Other,
}

impl Layout {
    /// Reads footer, schema and batch headers of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, IpcError> {
        if bytes.starts_with(b"FEA1") {
            return Err(IpcError::FeatherV1);
        }
        if !bytes.starts_with(MAGIC) {
            return Err(IpcError::Magic);
        }
        let footer = footer(bytes)?;
        let schema = footer.schema()?.ok_or(IpcError::Missing("schema"))?;
        let mut metadata = BTreeMap::new();
        for pair in schema.custom_metadata()?.into_iter().flatten() {
            let pair = pair?;
            metadata.insert(pair.key()?.unwrap_or_default().to_owned(), pair.value()?.unwrap_or_default().to_owned());
        }
        let mut names = Vec::new();
        let mut types = Vec::new();
        for field in schema.fields()?.into_iter().flatten() {
            let field = field?;
            names.push(field.name()?.unwrap_or_default().to_owned());
            types.push(field_type(&field)?);
        }
        if names.is_empty() {
            return Err(IpcError::Missing("id column"));
        }
        let columns = names.split_off(1);
        let native = cfg!(target_endian = "little") && schema.endianness()? == Endianness::Little;
        let place = if native { place(bytes, &footer, &types)? } else { None };
        Ok(Self { metadata, id_name: names.remove(0), columns, place })
    }
}

fn footer(bytes: &[u8]) -> Result<FooterRef<'_>, IpcError> {
    let body = bytes.strip_suffix(MAGIC).ok_or(IpcError::CutOff)?;
    let (body, length) = body.split_last_chunk::<4>().ok_or(IpcError::CutOff)?;
    let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| IpcError::Outside("footer"))?;
    let start = body.len().checked_sub(length).ok_or(IpcError::Outside("footer"))?;
    Ok(FooterRef::read_as_root(&body[start..])?)
}

fn field_type(field: &FieldRef<'_>) -> Result<FieldType, IpcError> {
    if field.dictionary()?.is_some() {
        return Ok(FieldType::Other);
    }
    Ok(match field.type_()? {
        Some(TypeRef::Int(int)) if int.bit_width()? == 64 && int.is_signed()? => FieldType::Int64,
        Some(TypeRef::Utf8(_)) => FieldType::Text { wide: false },
        Some(TypeRef::LargeUtf8(_)) => FieldType::Text { wide: true },
        Some(TypeRef::FloatingPoint(float)) => match float.precision()? {
            Precision::Single => FieldType::Float { wide: false },
            Precision::Double => FieldType::Float { wide: true },
            Precision::Half => FieldType::Other,
        },
        _ => FieldType::Other,
    })
}

fn place(bytes: &[u8], footer: &FooterRef<'_>, types: &[FieldType]) -> Result<Option<Place>, IpcError> {
    let (id, values) = (types[0], &types[1..]);
    let wide = match values.first() {
        Some(FieldType::Float { wide }) if values.iter().all(|other| *other == values[0]) => *wide,
        _ => return Ok(None),
    };
    if !matches!(id, FieldType::Int64 | FieldType::Text { .. }) {
        return Ok(None);
    }
    let batches = footer.record_batches()?.ok_or(IpcError::Missing("list of record batches"))?;
    let mut place = Place { wide, n_rows: 0, ids: vec![], starts: vec![] };
    let mut last = false;
    for block in batches {
        let (body, message) = batch(bytes, block)?;
        let Some(batch) = record_batch(&message)? else { return Ok(None) };
        let n_rows = usize::try_from(batch.length()?).map_err(|_| IpcError::Outside("a record batch"))?;
        // Only the last batch may be shorter than a block, and none may be empty.
        if last || n_rows == 0 || n_rows > BLOCK_ROWS || batch.compression()?.is_some() {
            return Ok(None);
        }
        last = n_rows < BLOCK_ROWS;
        let nodes = batch.nodes()?.ok_or(IpcError::Missing("list of columns"))?;
        if nodes.len() != types.len() {
            return Err(IpcError::Missing("list of columns"));
        }
        for node in nodes {
            if node.length() != n_rows as i64 {
                return Err(IpcError::Outside("a column"));
            }
            if node.null_count() != 0 {
                return Ok(None);
            }
        }
        let mut buffers = batch.buffers()?.ok_or(IpcError::Missing("list of buffers"))?.iter();
        let mut next = |what, least: Option<usize>| -> Result<Range<usize>, IpcError> {
            let buffer = buffers.next().ok_or(IpcError::Missing(what))?;
            let start = usize::try_from(buffer.offset()).ok().and_then(|offset| body.start.checked_add(offset));
            let length = usize::try_from(buffer.length()).ok();
            let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
            let range = start.zip(end).map(|(start, end)| start..end).ok_or(IpcError::Outside(what))?;
            if range.end > body.end || least.is_some_and(|least| range.len() < least) {
                return Err(IpcError::Outside(what));
            }
            Ok(range)
        };
        next("the validity of ids", None)?;
        place.ids.push(match id {
            FieldType::Text { wide } => {
                let width = if wide { 8 } else { 4 };
                let offsets = next("the offsets of ids", Some((n_rows + 1) * width))?;
                let offsets = offsets.start..offsets.start + (n_rows + 1) * width;
                IdBytes::Text { wide, offsets, text: next("the text of ids", None)? }
            }
            _ => {
                let ids = next("the ids", Some(n_rows * 8))?;
                IdBytes::Int(ids.start..ids.start + n_rows * 8)
            }
        });
        let width = if wide { 8 } else { 4 };
        for _ in values {
            next("the validity of values", None)?;
            let values = next("the values", Some(n_rows * width))?;
            if values.start % width != 0 {
                return Ok(None);
            }
            place.starts.push(values.start);
        }
        place.n_rows += n_rows;
    }
    Ok(Some(place))
}

/// A block's body as a range of the file, and its header.
fn batch<'a>(bytes: &'a [u8], block: BlockRef<'_>) -> Result<(Range<usize>, MessageRef<'a>), IpcError> {
    let outside = || IpcError::Outside("a record batch");
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let head = usize::try_from(block.meta_data_length()).map_err(|_| outside())?;
    let body = usize::try_from(block.body_length()).map_err(|_| outside())?;
    let middle = start.checked_add(head).ok_or_else(outside)?;
    let end = middle.checked_add(body).filter(|&end| end <= bytes.len()).ok_or_else(outside)?;
    // 0xFFFFFFFF and the length, or in old files the length alone.
    let head = &bytes[start..middle];
    let head = head.strip_prefix(&[0xFF; 4]).unwrap_or(head);
    let (length, head) = head.split_first_chunk::<4>().ok_or_else(outside)?;
    let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| outside())?;
    let head = head.get(..length).ok_or_else(outside)?;
    Ok((middle..end, MessageRef::read_as_root(head)?))
}

fn record_batch<'a>(message: &MessageRef<'a>) -> Result<Option<RecordBatchRef<'a>>, IpcError> {
    Ok(match message.header()? {
        Some(MessageHeaderRef::RecordBatch(batch)) => Some(batch),
        _ => None,
    })
}

/// The texts of one batch, appended to `out`. `row` is the batch's first row, for errors.
pub(crate) fn texts(
    bytes: &[u8],
    wide: bool,
    offsets: Range<usize>,
    text: Range<usize>,
    out: &mut Vec<Box<str>>,
) -> Result<(), IpcError> {
    let offsets = &bytes[offsets];
    let text = &bytes[text];
    let offset = |i: usize| -> Option<usize> {
        if wide {
            let offset = offsets.get(i * 8..i * 8 + 8)?.try_into().ok()?;
            usize::try_from(i64::from_le_bytes(offset)).ok()
        } else {
            let offset = offsets.get(i * 4..i * 4 + 4)?.try_into().ok()?;
            usize::try_from(i32::from_le_bytes(offset)).ok()
        }
    };
    let n_rows = offsets.len() / if wide { 8 } else { 4 } - 1;
    for row in 0..n_rows {
        let range = offset(row).zip(offset(row + 1));
        let id = range.and_then(|(start, end)| text.get(start..end)).and_then(|id| std::str::from_utf8(id).ok());
        out.push(id.ok_or(IpcError::Id(out.len()))?.into());
    }
    Ok(())
}
