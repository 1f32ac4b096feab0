//! Log odds: the logarithmic opinion pool of binary targets (Genest and Zidek 1986).

use super::{Info, Logit, Probability, Space, decode};
use crate::{
    block::Block,
    judge::Preparation,
    num,
    output::{Encoding, OutputKind},
};

pub(super) struct LogitSpace;

impl Space for LogitSpace {
    fn info(&self) -> &'static Info {
        &Info {
            name: "logit",
            formula: "enter ln(p / (1 - p)), p clipped; leave 1 / (1 + e^-u)",
            usage: "binary and multi-label probabilities: the logarithmic pool",
            accepts: &[Probability, Logit],
            row_local: true,
            returns_members: true,
        }
    }

    fn enter(&self, encoding: Encoding, preparation: Preparation, values: &mut Block) {
        if encoding.kind == OutputKind::Logit {
            return;
        }
        decode(encoding, values);
        let (low, high) = (preparation.clip, 1.0 - preparation.clip);
        values.values_mut().iter_mut().for_each(|p| {
            let clipped = p.clamp(low, high);
            *p = clipped / (1.0 - clipped);
        });
        num::ln_all(values.values_mut());
    }

    fn leave(&self, values: &mut Block) {
        num::sigmoid_all(values.values_mut());
    }
}
