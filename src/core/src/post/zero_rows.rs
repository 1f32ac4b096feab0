//! Rows that are known to be nothing: the control rows of MoA, which have no mechanism of action.

use super::{Info, PostStep};
use crate::block::Block;

pub(super) const INFO: Info = Info {
    name: "zero_rows",
    yaml: "zero_rows: {file: test_features.csv, column: cp_type, equals: ctl_vehicle}",
    formula: "0 in every column of the rows that the file marks, x elsewhere",
    idempotent: true,
    row_local: true,
    examples: || {
        let (column, equals) = ("cp_type".to_owned(), "ctl_vehicle".to_owned());
        vec![PostStep::ZeroRows { file: "test_features.csv".into(), column, equals }]
    },
};

pub(super) fn apply(marked: &[bool], values: &mut Block) {
    assert_eq!(marked.len(), values.n_rows(), "one mark per row");
    for output in 0..values.n_outputs() {
        values.column_mut(output).iter_mut().zip(marked).filter(|(_, marked)| **marked).for_each(|(x, _)| *x = 0.0);
    }
}
