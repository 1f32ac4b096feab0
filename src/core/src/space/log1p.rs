//! ln(1 + x): the scale of errors that are judged relative to size, as RMSLE does.

use super::{Info, Space, Value, decode};
use crate::{block::Block, judge::Preparation, num, output::Encoding, squares::LOWEST};

pub(super) struct Log1p;

impl Space for Log1p {
    fn info(&self) -> &'static Info {
        &Info {
            name: "log1p",
            formula: "enter ln(1 + x), x at most the number next to -1 from below; leave e^u - 1",
            usage: "values above -1, and RMSLE",
            accepts: &[Value],
            row_local: true,
            // Values below -1 do not come back.
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        values.values_mut().iter_mut().for_each(|x| *x = libm::log1p(x.max(LOWEST)));
    }

    fn leave(&self, values: &mut Block) {
        values.values_mut().iter_mut().for_each(|u| *u = if *u < 708.0 { libm::expm1(*u) } else { num::exp(*u) });
    }
}
