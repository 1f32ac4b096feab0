//! Values as they are: the arithmetic mean, for probabilities the linear opinion pool (Genest and Zidek 1986).

use super::{Info, NUMBERS, Space, decode, normalize_rows};
use crate::{
    block::Block,
    judge::Preparation,
    output::{Encoding, OutputKind},
};

pub(super) struct Linear;

impl Space for Linear {
    fn info(&self) -> &'static Info {
        &Info {
            name: "linear",
            formula: "enter x, leave u",
            usage: "probabilities and values: the arithmetic mean",
            accepts: NUMBERS,
            row_local: true,
            returns_members: true,
        }
    }

    fn enter(&self, encoding: Encoding, preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        // Only members that sum to one keep the blend of a renormalising metric convex in the weights.
        if preparation.renormalize && matches!(encoding.kind, OutputKind::ClassProbabilities | OutputKind::Probability)
        {
            normalize_rows(values);
        }
    }

    fn leave(&self, _values: &mut Block) {}
}
