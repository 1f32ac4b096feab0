use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(graphs().join(name)).unwrap()
}

fn scan(name: &str) -> Scan {
    scan_file(&graphs().join(name), &[], Limits::default()).unwrap().0
}

fn refused(result: Result<(Scan, Vec<u8>), ScanFileError>) -> ScanError {
    match result {
        Err(ScanFileError::Refused { source, .. }) => source,
        other => panic!("not refused: {other:?}"),
    }
}

// A tiny writer of the wire format, to plant what no exporter writes.
fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn field(number: u64, payload: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(payload.len() as u64), payload.to_vec()].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// An external tensor.
fn tensor(location: &str) -> Vec<u8> {
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    [field(8, b"w"), field(13, &entry), number(14, 1)].concat()
}

/// A model around the fields of its graph.
fn model(graph: &[u8], more: &[u8]) -> Vec<u8> {
    let output = field(12, &field(1, b"y"));
    [field(8, &number(2, 17)), field(7, &[graph, &output].concat()), more.to_vec()].concat()
}

fn node_with(attribute: &[u8]) -> Vec<u8> {
    field(1, &[field(4, b"Op"), field(5, attribute)].concat())
}

#[test]
fn a_graph_tells_its_ports_and_operators() {
    let scan = scan("mixed.onnx");
    let ports: Vec<String> = scan.inputs.iter().map(|port| format!("{} {port}", port.name)).collect();
    assert_eq!(ports, ["k i64 (?, 1)", "flag bool (?, 1)", "v f32 (?, 1)"]);
    assert_eq!(scan.outputs()[0], ("y".to_owned(), "f32 (?, 1)".to_owned()));
    assert_eq!((scan.n_nodes, scan.opsets[""]), (4, 17));
    assert_eq!(scan.operators[&(String::new(), "Cast".to_owned())], 2);
    assert!(scan.external.is_empty());
}

#[test]
fn subgraphs_are_counted() {
    assert_eq!(scan("branch.onnx").n_nodes, 5);
}

#[test]
fn class_maps_are_known() {
    assert_eq!(scan("zipmap.onnx").outputs()[1].1, "class maps");
}

#[test]
fn foreign_domains_need_a_permission_or_a_definition() {
    let path = graphs().join("foreign.onnx");
    let error = refused(scan_file(&path, &[], Limits::default()));
    assert_eq!(error, ScanError::Domain { domain: "org.example".into(), operator: "Twice".into() });
    assert_eq!(error.kind(), Kind::Usage);
    scan_file(&path, &["org.example".to_owned()], Limits::default()).unwrap();
    scan("function.onnx");
}

#[test]
fn external_data_stays_in_the_folder() {
    assert_eq!(scan("external.onnx").external, ["external.data"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("external.onnx");
    std::fs::write(&path, bytes("external.onnx")).unwrap();
    let try_it = || scan_file(&path, &[], Limits::default());
    let data = folder.path().join("external.data");
    assert!(matches!(refused(try_it()), ScanError::ExternalMissing { .. }));
    std::fs::write(&data, [0; 31]).unwrap();
    assert!(refused(try_it()).to_string().contains("before the tensor does"));
    std::fs::write(&data, [0; 32]).unwrap();
    try_it().unwrap();
    assert!(matches!(
        refused(scan_file(&path, &[], Limits { external_bytes: 31, ..Limits::default() })),
        ScanError::TooLarge { bytes: 32, limit: 31 }
    ));
    std::fs::remove_file(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    assert!(refused(try_it()).to_string().contains("no regular file"));
    #[cfg(unix)]
    {
        std::fs::remove_dir(&data).unwrap();
        std::os::unix::fs::symlink(graphs().join("external.data"), &data).unwrap();
        assert!(refused(try_it()).to_string().contains("through a link"));
    }
}

#[test]
fn every_place_of_a_tensor_is_looked_at() {
    let evil = tensor("../../etc/passwd");
    let sparse = field(1, &evil);
    let sub = field(5, &evil);
    let places = [
        ("initializer", model(&field(5, &evil), &[])),
        ("sparse initializer", model(&field(15, &sparse), &[])),
        ("sparse indices", model(&field(15, &field(2, &evil)), &[])),
        ("attribute", model(&node_with(&field(5, &evil)), &[])),
        ("attribute list", model(&node_with(&field(10, &evil)), &[])),
        ("sparse attribute", model(&node_with(&field(22, &sparse)), &[])),
        ("sparse attribute list", model(&node_with(&field(23, &sparse)), &[])),
        ("subgraph", model(&node_with(&field(6, &sub)), &[])),
        ("subgraph list", model(&node_with(&field(11, &sub)), &[])),
        ("node of a subgraph", model(&node_with(&field(6, &node_with(&field(5, &evil)))), &[])),
        ("function", model(&[], &field(25, &field(7, &[field(4, b"Op"), field(5, &field(5, &evil))].concat())))),
        ("function default", model(&[], &field(25, &field(11, &field(5, &evil))))),
        ("training graph", model(&[], &field(20, &field(2, &sub)))),
        ("second graph", model(&[], &field(7, &sub))),
    ];
    for (place, bytes) in places {
        let error = scan_bytes(&bytes, Some(&graphs()), &[], Limits::default()).unwrap_err();
        assert!(matches!(error, ScanError::External { .. }), "{place}: {error}");
    }
    for location in ["/etc/passwd", "a/../../b", "..", "", ".", "a\\b", "C:\\x"] {
        let bytes = model(&field(5, &tensor(location)), &[]);
        let error = scan_bytes(&bytes, Some(&graphs()), &[], Limits::default()).unwrap_err();
        assert!(matches!(error, ScanError::External { .. } | ScanError::ExternalMissing { .. }), "{location}: {error}");
    }
    let hidden = model(&field(5, &[field(13, &[field(1, b"location"), field(2, b"/x")].concat())].concat()), &[]);
    assert!(scan_bytes(&hidden, Some(&graphs()), &[], Limits::default()).is_err());
    let nameless = model(&field(5, &number(14, 1)), &[]);
    assert!(scan_bytes(&nameless, Some(&graphs()), &[], Limits::default()).is_err());
    let fine = model(&field(5, &tensor("external.data")), &[]);
    assert!(scan_bytes(&fine, Some(&graphs()), &[], Limits::default()).is_ok());
    assert!(scan_bytes(&fine, None, &[], Limits::default()).is_err());
}

#[test]
fn limits_hold() {
    let bytes = bytes("mixed.onnx");
    let small = Limits { bytes: 10, ..Limits::default() };
    assert!(matches!(scan_bytes(&bytes, None, &[], small), Err(ScanError::TooLarge { .. })));
    let few = Limits { nodes: 3, ..Limits::default() };
    assert_eq!(scan_bytes(&bytes, None, &[], few), Err(ScanError::TooManyNodes { limit: 3 }));
    let mut deep = node_with(&[]);
    for _ in 0..5000 {
        deep = node_with(&field(6, &deep));
    }
    assert!(matches!(scan_bytes(&model(&deep, &[]), None, &[], Limits::default()), Err(ScanError::TooDeep { .. })));
}

#[test]
fn what_is_no_graph_is_refused() {
    for bytes in
        [&b""[..], b"\x00", b"hello world, this is no graph", b"\x08\x08", &[0xff; 64], &[0x3a, 0xff, 0xff, 0x03]]
    {
        let error = scan_bytes(bytes, None, &[], Limits::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{error}");
    }
    assert!(matches!(scan_file(&graphs(), &[], Limits::default()), Err(ScanFileError::Refused { .. })));
    let absent = graphs().join("absent.onnx");
    assert!(matches!(scan_file(&absent, &[], Limits::default()), Err(ScanFileError::Io { .. })));
}

#[test]
fn every_truncation_is_an_error_or_a_graph() {
    for name in ["branch.onnx", "zipmap.onnx", "function.onnx", "external.onnx"] {
        let whole = bytes(name);
        for end in 0..whole.len() {
            let _ = scan_bytes(&whole[..end], Some(&graphs()), &[], Limits::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutations_never_panic(
        which in 0_usize..4,
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0_u8..3), 1..12),
    ) {
        let mut bytes = bytes(["branch.onnx", "zipmap.onnx", "function.onnx", "external.onnx"][which]);
        for (at, byte, how) in edits {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let _ = scan_bytes(&bytes, Some(&graphs()), &[], Limits::default());
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = scan_bytes(&bytes, Some(&graphs()), &[], Limits::default());
        let wrapped = model(&bytes, &[]);
        let _ = scan_bytes(&wrapped, Some(&graphs()), &[], Limits::default());
    }
}
