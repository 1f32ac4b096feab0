//! A loss of probabilities that rises toward 0 and 1: see [`crate::objective::Objective::walled`].

use super::Cells;
use blend_core::num;

/// `loss - width (ln(1 - u) + ln u)`, on the average over cells.
pub(super) struct Walled<'a> {
    pub(super) cells: &'a dyn Cells,
    /// The width for a single cell: the mean's, by the mass and the number of cells.
    pub(super) width: f64,
}

/// Cells nearer to a wall than this are held there by members that are all certain: nothing moves them.
const HELD: f64 = 1e-14;

impl Walled<'_> {
    /// Adds the barrier's derivatives and gives its sum.
    fn add(&self, u: &[f64], mut each: impl FnMut(usize, f64, f64)) -> f64 {
        let mut logs = vec![0.0; 2 * u.len()];
        for (i, &u) in u.iter().enumerate() {
            let (mut first, mut second) = (0.0, 0.0);
            for (side, room) in [(1.0, 1.0 - u), (-1.0, u)] {
                if room > HELD {
                    first += side * self.width / room;
                    second += self.width / (room * room);
                }
            }
            each(i, first, second);
            (logs[2 * i], logs[2 * i + 1]) = ((1.0 - u).max(HELD), u.max(HELD));
        }
        num::ln_all(&mut logs);
        -self.width * num::sum(&logs)
    }
}

impl Cells for Walled<'_> {
    fn mass(&self) -> f64 {
        self.cells.mass()
    }

    fn member_range(&self) -> Option<(f64, f64)> {
        self.cells.member_range()
    }

    fn value(&self, output: usize, start: usize, u: &[f64]) -> f64 {
        self.cells.value(output, start, u) + self.add(u, |_, _, _| ())
    }

    fn slope(&self, output: usize, start: usize, u: &[f64], d: &mut [f64]) -> f64 {
        let value = self.cells.slope(output, start, u, d);
        value + self.add(u, |i, first, _| d[i] += first)
    }

    fn curve(&self, output: usize, start: usize, u: &[f64], d: &mut [f64], h: &mut [f64]) -> f64 {
        let value = self.cells.curve(output, start, u, d, h);
        let barrier = self.add(u, |i, first, second| {
            d[i] += first;
            h[i] += second;
        });
        value + barrier
    }

    fn is_convex(&self) -> bool {
        self.cells.is_convex()
    }
}
