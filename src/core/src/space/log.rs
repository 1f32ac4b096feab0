//! Logarithms of class probabilities: the geometric mean over members, renormalised over the classes.

use super::{ClassLogits, ClassProbabilities, Info, Space, decode, normalize_rows, softmax};
use crate::{
    block::Block,
    judge::Preparation,
    num,
    output::{Encoding, OutputKind},
};

pub(super) struct Log;

impl Space for Log {
    fn info(&self) -> &'static Info {
        &Info {
            name: "log",
            formula: "enter ln p, p clipped, over the classes of a row; leave softmax(u)",
            usage: "class probabilities: the geometric mean, renormalised",
            accepts: &[ClassProbabilities, ClassLogits],
            row_local: true,
            returns_members: true,
        }
    }

    fn enter(&self, encoding: Encoding, preparation: Preparation, values: &mut Block) {
        if encoding.kind == OutputKind::ClassLogits {
            return;
        }
        decode(encoding, values);
        values.values_mut().iter_mut().for_each(|p| *p = p.clamp(preparation.clip, 1.0));
        if preparation.renormalize {
            normalize_rows(values);
        }
        num::ln_all(values.values_mut());
    }

    fn leave(&self, values: &mut Block) {
        softmax(values);
    }
}
