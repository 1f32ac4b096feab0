//! ln x: the geometric mean of positive values.

use super::{Info, Space, Value, decode};
use crate::{block::Block, judge::Preparation, num, output::Encoding};

pub(super) struct LogValue;

impl Space for LogValue {
    fn info(&self) -> &'static Info {
        &Info {
            name: "log_value",
            formula: "enter ln x, x moved up to the smallest normal number; leave e^u",
            usage: "positive values: the geometric mean",
            accepts: &[Value],
            row_local: true,
            // Values that are not positive do not come back.
            returns_members: false,
        }
    }

    fn enter(&self, encoding: Encoding, _preparation: Preparation, values: &mut Block) {
        decode(encoding, values);
        values.values_mut().iter_mut().for_each(|x| *x = x.max(f64::MIN_POSITIVE));
        num::ln_all(values.values_mut());
    }

    fn leave(&self, values: &mut Block) {
        num::exp_all(values.values_mut());
    }
}
