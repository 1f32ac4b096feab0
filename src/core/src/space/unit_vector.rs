//! Unit vectors: every member has the same say about a direction.

use super::{Info, Space, Vector, decode, normalize_vectors};
use crate::{block::Block, judge::Preparation, output::Encoding};

pub(super) struct UnitVector;

impl Space for UnitVector {
    fn info(&self) -> &'static Info {
        &Info {
            name: "unit_vector",
            formula: "enter v / |v|; leave v / |v|",
            usage: "directions",
            accepts: &[Vector],
            row_local: true,
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        normalize_vectors(values);
    }

    fn leave(&self, values: &mut Block) {
        normalize_vectors(values);
    }
}
