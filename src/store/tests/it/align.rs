use crate::{Scratch, names};
use blend_core::{
    BlockSource, RowIndex, TableSource,
    source::{Column, OwnedBlocks},
};
use blend_store::{Kind, ReadOptions, StoreError, Table, Width, align, concat_parts};
use proptest::prelude::*;
use std::path::Path;

fn table(ids: &[String], values: &[f64]) -> Table {
    let rows = RowIndex::from_texts(ids.to_vec()).unwrap();
    let columns = vec![
        ("x".to_owned(), Column::F64(values.to_vec())),
        ("y".to_owned(), Column::F32(values.iter().map(|x| *x as f32).collect())),
    ];
    Table::new(Path::new("memory"), rows, columns).unwrap()
}

fn bits(blocks: &OwnedBlocks) -> Vec<u64> {
    match blocks {
        OwnedBlocks::F32(columns) => columns.iter().flatten().map(|x| u64::from(x.to_bits())).collect(),
        OwnedBlocks::F64(columns) => columns.iter().flatten().map(|x| x.to_bits()).collect(),
    }
}

fn rows_and_order() -> impl Strategy<Value = (Vec<String>, Vec<f64>, Vec<usize>)> {
    proptest::collection::hash_set("[a-z0-9]{1,5}", 2..40).prop_flat_map(|ids| {
        let n = ids.len();
        let ids: Vec<String> = ids.into_iter().collect();
        (
            Just(ids),
            proptest::collection::vec(any::<f32>().prop_map(f64::from), n),
            Just((0..n).collect::<Vec<_>>()).prop_shuffle(),
        )
    })
}

proptest! {
    #[test]
    fn any_order_gives_the_same_bytes((ids, values, order) in rows_and_order(), cut in 0_usize..40) {
        let original = table(&ids, &values);
        let ids_2: Vec<String> = order.iter().map(|&i| ids[i].clone()).collect();
        let values_2: Vec<f64> = order.iter().map(|&i| values[i]).collect();
        let columns = names(&["y", "x"]);
        for width in [Width::F32, Width::F64, Width::AsRead] {
            let expected = bits(&align(&original, original.rows(), &columns, width).unwrap());
            let shuffled = table(&ids_2, &values_2);
            prop_assert_eq!(bits(&align(&shuffled, original.rows(), &columns, width).unwrap()), expected.clone());
            let cut = cut.clamp(1, ids.len() - 1);
            let parts = [table(&ids_2[cut..], &values_2[cut..]), table(&ids_2[..cut], &values_2[..cut])];
            prop_assert_eq!(bits(&concat_parts(&parts, original.rows(), &columns, width).unwrap()), expected);
        }
    }

    #[test]
    fn what_does_not_cover_is_refused((ids, values, _) in rows_and_order()) {
        let wanted = table(&ids, &values);
        let (short, last) = (&ids[..ids.len() - 1], ids.last().unwrap());
        let columns = names(&["x"]);
        let missing = table(short, &values[1..]);
        let error = align(&missing, wanted.rows(), &columns, Width::F64).unwrap_err();
        let StoreError::Align { source, .. } = &error else { panic!("{error}") };
        prop_assert_eq!((source.missing, source.unknown), (1, 0));
        prop_assert_eq!(source.first_missing.as_ref(), Some(last));
        let error = concat_parts(std::slice::from_ref(&missing), wanted.rows(), &columns, Width::F64).unwrap_err();
        let StoreError::Align { source, .. } = &error else { panic!("{error}") };
        prop_assert_eq!(source.first_missing.as_ref(), Some(last));
        // A row too many.
        let error = align(&wanted, missing.rows(), &columns, Width::F64).unwrap_err();
        let StoreError::Align { source, .. } = &error else { panic!("{error}") };
        prop_assert_eq!(source.first_unknown.as_ref(), Some(last));
        // A row twice.
        let error = concat_parts(&[wanted.clone(), missing], wanted.rows(), &columns, Width::F64).unwrap_err();
        let twice = matches!(&error, StoreError::Overlap { id, .. } if *id == ids[0]);
        prop_assert!(twice);
        prop_assert_eq!(error.kind(), Kind::Data);
    }
}

#[test]
fn a_width_is_chosen_or_refused() {
    let t = table(&names(&["a", "b"]), &[0.1, 1e300]);
    assert_eq!(align(&t, t.rows(), &names(&["y"]), Width::AsRead).unwrap().value_bytes(), 4);
    assert_eq!(align(&t, t.rows(), &names(&["y", "x"]), Width::AsRead).unwrap().value_bytes(), 8);
    let error = align(&t, t.rows(), &names(&["x"]), Width::F32).unwrap_err();
    assert!(matches!(error, StoreError::Overflow { row: 1, .. }), "{error}");
    let error = align(&t, t.rows(), &names(&["z"]), Width::F32).unwrap_err();
    assert_eq!((error.kind(), error.hint().unwrap().as_str()), (Kind::Usage, "it has x, y"));
}

#[test]
fn text_is_no_prediction() {
    let scratch = Scratch::new();
    let path = scratch.file("p.csv", "id,p\n7,0.5\n8,oops\n9,0.25\n");
    let t = Table::read(&path, &ReadOptions::default()).unwrap();
    let error = align(&t, t.rows(), &names(&["p"]), Width::F32).unwrap_err();
    assert!(matches!(&error, StoreError::NotNumber { row: 1, id, text, .. } if id == "8" && text == "oops"), "{error}");
}
