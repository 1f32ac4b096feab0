//! ONNX messages by field number (onnx.proto3), only as far as the scan needs them.
//!
//! Where a singular field stands twice a parser takes the last or merges both, so every occurrence is looked at.

use super::{
    Limits, STANDARD_DOMAINS, Scan, ScanError,
    wire::{Field, Fields},
};
use crate::engine::{DType, Port};
use std::collections::BTreeSet;

/// Messages within messages; protobuf's own parsers stop at 100.
const MAX_DEPTH: usize = 100;

/// A tensor that lies in another file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExternalData {
    pub(crate) location: String,
    pub(crate) offset: Option<String>,
    pub(crate) length: Option<String>,
}

/// What the walk gathers.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) scan: Scan,
    pub(crate) external: BTreeSet<ExternalData>,
    pub(crate) initializers: BTreeSet<String>,
    functions: BTreeSet<(String, String)>,
    limits: Option<Limits>,
    graphs: usize,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    MainGraph,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Function,
    Training,
}

impl Message {
    /// What a field of this message holds, where the walk goes on in it.
    fn child(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) => Some(Self::MainGraph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Training, 1 | 2) => Some(Self::Graph),
            (Self::MainGraph | Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::MainGraph | Self::Graph, 5) => Some(Self::Tensor),
            (Self::MainGraph | Self::Graph, 15) => Some(Self::SparseTensor),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Attribute, 5 | 10) => Some(Self::Tensor),
            (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            (Self::SparseTensor, 1 | 2) => Some(Self::Tensor),
            _ => None,
        }
    }
}

/// Walks a model.
pub(crate) fn walk(bytes: &[u8], limits: Limits) -> Result<Found, ScanError> {
    let mut found = Found { limits: Some(limits), ..Found::default() };
    found.message(bytes, Message::Model, 0)?;
    if found.graphs == 0 {
        return Err(ScanError::NoGraph("graph"));
    }
    if found.scan.opsets.is_empty() {
        return Err(ScanError::NoGraph("operator set"));
    }
    if found.scan.outputs.is_empty() {
        return Err(ScanError::NoGraph("output"));
    }
    Ok(found)
}

impl Found {
    /// Refuses operators of foreign domains that the graph does not define itself. A domain that is only imported is
    /// harmless, and exporters import many.
    pub(crate) fn refuse_domains(&self, allowed: &[String]) -> Result<(), ScanError> {
        for (domain, operator) in self.scan.operators.keys() {
            let known = STANDARD_DOMAINS.contains(&domain.as_str())
                || allowed.contains(domain)
                || self.functions.contains(&(domain.clone(), operator.clone()));
            if !known {
                return Err(ScanError::Domain { domain: domain.clone(), operator: operator.clone() });
            }
        }
        Ok(())
    }

    fn message(&mut self, bytes: &[u8], message: Message, depth: usize) -> Result<(), ScanError> {
        if depth > MAX_DEPTH {
            return Err(ScanError::TooDeep { limit: MAX_DEPTH });
        }
        self.graphs += usize::from(message == Message::MainGraph);
        let mut fields = Fields::of(bytes);
        while let Some((number, field)) = fields.next()? {
            let Field::Bytes(inner) = field else { continue };
            if let Some(child) = message.child(number) {
                self.message(inner, child, depth + 1)?;
            }
            match (message, number) {
                (Message::Model, 8) => self.opset(inner)?,
                (Message::MainGraph, 11) => self.scan.inputs.push(port(inner)?),
                (Message::MainGraph, 12) => self.scan.outputs.push(port(inner)?),
                (Message::MainGraph, 5) => drop(self.initializers.insert(text_field(inner, 8)?)),
                (Message::MainGraph, 15) => {
                    let mut sparse = Fields::of(inner);
                    while let Some((number, field)) = sparse.next()? {
                        if let (1, Field::Bytes(values)) = (number, field) {
                            self.initializers.insert(text_field(values, 8)?);
                        }
                    }
                }
                _ => {}
            }
        }
        match message {
            Message::Node => self.node(bytes)?,
            Message::Tensor => self.tensor(bytes)?,
            Message::Function => {
                self.functions.insert((text_field(bytes, 10)?, text_field(bytes, 1)?));
            }
            _ => {}
        }
        Ok(())
    }

    fn opset(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let (mut fields, mut domain, mut version) = (Fields::of(bytes), String::new(), 0);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(name)) => domain = text(name),
                (2, Field::Varint(value)) => version = value as i64,
                _ => {}
            }
        }
        let highest = self.scan.opsets.entry(domain).or_insert(version);
        *highest = version.max(*highest);
        Ok(())
    }

    fn node(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.scan.n_nodes += 1;
        if let Some(limits) = self.limits
            && self.scan.n_nodes > limits.nodes
        {
            return Err(ScanError::TooManyNodes { limit: limits.nodes });
        }
        let (mut fields, mut operator, mut domains) = (Fields::of(bytes), String::new(), Vec::new());
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (4, Field::Bytes(name)) => operator = text(name),
                (7, Field::Bytes(name)) => domains.push(text(name)),
                _ => {}
            }
        }
        if domains.is_empty() {
            domains.push(String::new());
        }
        for domain in domains {
            *self.scan.operators.entry((domain, operator.clone())).or_default() += 1;
        }
        Ok(())
    }

    fn tensor(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let (mut fields, mut entries, mut external) = (Fields::of(bytes), Vec::new(), false);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (13, Field::Bytes(entry)) => entries.push((text_field(entry, 1)?, text_field(entry, 2)?)),
                (14, Field::Varint(1)) => external = true,
                _ => {}
            }
        }
        let values = |key: &str| -> Vec<String> {
            entries.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
        };
        // A location counts even where the tensor does not claim to be external, and so does each of several.
        let (offset, length, locations) = (values("offset").pop(), values("length").pop(), values("location"));
        if external && locations.is_empty() {
            self.external.insert(ExternalData::default());
        }
        for location in locations {
            self.external.insert(ExternalData { location, offset: offset.clone(), length: length.clone() });
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last value of a text field, empty where absent.
fn text_field(message: &[u8], wanted: u64) -> Result<String, ScanError> {
    Ok(bytes_field(message, wanted)?.map(text).unwrap_or_default())
}

fn bytes_field(message: &[u8], wanted: u64) -> Result<Option<&[u8]>, ScanError> {
    let (mut fields, mut last) = (Fields::of(message), None);
    while let Some((number, field)) = fields.next()? {
        if let (true, Field::Bytes(value)) = (number == wanted, field) {
            last = Some(value);
        }
    }
    Ok(last)
}

/// A `ValueInfoProto`.
fn port(bytes: &[u8]) -> Result<Port, ScanError> {
    let name = text_field(bytes, 1)?;
    let Some(declared) = bytes_field(bytes, 2)? else {
        return Ok(Port { name, dtype: DType::Other("no type"), dims: None });
    };
    if let Some(tensor) = bytes_field(declared, 1)? {
        let (mut fields, mut dtype, mut dims) = (Fields::of(tensor), DType::Other("no type"), None);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Varint(code)) => dtype = element(code),
                (2, Field::Bytes(shape)) => dims = Some(dimensions(shape)?),
                _ => {}
            }
        }
        return Ok(Port { name, dtype, dims });
    }
    let dtype = if let Some(sequence) = bytes_field(declared, 4)? {
        let maps = bytes_field(sequence, 1)?.map(|inner| bytes_field(inner, 5)).transpose()?.flatten().is_some();
        if maps { DType::ClassMaps } else { DType::Other("sequence") }
    } else {
        DType::Other("no tensor")
    };
    Ok(Port { name, dtype, dims: None })
}

fn dimensions(shape: &[u8]) -> Result<Vec<Option<usize>>, ScanError> {
    let (mut fields, mut dims) = (Fields::of(shape), Vec::new());
    while let Some((number, field)) = fields.next()? {
        let (1, Field::Bytes(dim)) = (number, field) else { continue };
        let (mut fields, mut size) = (Fields::of(dim), None);
        while let Some((number, field)) = fields.next()? {
            if let (1, Field::Varint(value)) = (number, field) {
                // Exporters write -1 and sometimes 0 for "any".
                size = usize::try_from(value as i64).ok().filter(|&n| n > 0);
            }
        }
        dims.push(size);
    }
    Ok(dims)
}

fn element(code: u64) -> DType {
    match code {
        1 => DType::F32,
        11 => DType::F64,
        10 => DType::F16,
        7 => DType::I64,
        6 => DType::I32,
        9 => DType::Bool,
        8 => DType::Text,
        2 => DType::Other("uint8"),
        3 => DType::Other("int8"),
        16 => DType::Other("bfloat16"),
        _ => DType::Other("an unsupported type"),
    }
}
