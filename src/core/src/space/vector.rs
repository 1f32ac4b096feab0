//! Vectors as they are: a member's length is its confidence, as IceCube's 2nd place averaged them.

use super::{Info, Space, Vector, decode, normalize_vectors};
use crate::{block::Block, judge::Preparation, output::Encoding};

pub(super) struct VectorSpace;

impl Space for VectorSpace {
    fn info(&self) -> &'static Info {
        &Info {
            name: "vector",
            formula: "enter v; leave v / |v|",
            usage: "directions whose length is confidence",
            accepts: &[Vector],
            row_local: true,
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
    }

    fn leave(&self, values: &mut Block) {
        normalize_vectors(values);
    }
}
