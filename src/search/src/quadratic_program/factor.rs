//! A Cholesky factor that members join and leave at the price of a square, where taking it anew costs a cube (Golub and
//! Van Loan, Matrix Computations, section 6.5).

use blend_core::num;

/// The lower factor of `H + ridge I + common 11'` on the rows and columns of some members, in the order they came.
pub(super) struct Factor<'a> {
    hessian: &'a [f64],
    n: usize,
    ridge: f64,
    common: f64,
    members: Vec<usize>,
    /// Row `r` has `r + 1` cells.
    rows: Vec<Vec<f64>>,
    /// Whether a pivot was lost to rounding.
    lost: bool,
    /// Members that left since all was last computed: each adds some rounding.
    left: usize,
}

/// A pivot that takes the place of one lost to rounding: it holds that member where it is.
const HELD: f64 = 1e150;

/// Departures after which all is computed anew.
const MOST_LEFT: usize = 64;

impl<'a> Factor<'a> {
    /// `hessian` is `n x n`, row by row, positive semidefinite.
    pub(super) fn new(hessian: &'a [f64], n: usize, (ridge, common): (f64, f64), members: Vec<usize>) -> Self {
        let mut it = Self { hessian, n, ridge, common, members, rows: Vec::new(), lost: false, left: 0 };
        it.renew();
        it
    }

    pub(super) fn members(&self) -> &[usize] {
        &self.members
    }

    fn renew(&mut self) {
        let members = std::mem::take(&mut self.members);
        self.rows.clear();
        (self.lost, self.left) = (false, 0);
        members.into_iter().for_each(|member| self.join(member));
    }

    /// One more member, the last.
    pub(super) fn join(&mut self, member: usize) {
        let own = &self.hessian[member * self.n..(member + 1) * self.n];
        let mut row: Vec<f64> = self.members.iter().map(|&other| own[other] + self.common).collect();
        for (i, above) in self.rows.iter().enumerate() {
            row[i] = (row[i] - num::dot(&above[..i], &row[..i])) / above[i];
        }
        let diagonal = own[member] + self.common + self.ridge;
        let pivot = diagonal - num::dot(&row, &row);
        let kept = pivot > diagonal.abs() * 1e-15;
        self.lost |= !kept;
        row.push(if kept { pivot.sqrt() } else { HELD });
        self.rows.push(row);
        self.members.push(member);
    }

    /// One member less.
    pub(super) fn leave(&mut self, member: usize) {
        let Some(place) = self.members.iter().position(|other| *other == member) else { return };
        self.members.remove(place);
        self.left += 1;
        if self.lost || self.left > MOST_LEFT {
            self.renew();
            return;
        }
        self.rows.remove(place);
        // Each row below now has one cell too many: a rotation of two columns clears it.
        for r in place..self.rows.len() {
            let (a, b) = (self.rows[r][r], self.rows[r][r + 1]);
            let length = a.hypot(b);
            let (cosine, sine) = (a / length, b / length);
            for row in &mut self.rows[r..] {
                let (x, y) = (row[r], row[r + 1]);
                row[r] = cosine * x + sine * y;
                row[r + 1] = cosine * y - sine * x;
            }
            self.rows[r].pop();
        }
    }

    /// Solves for `b`, one number per member in their order, in place.
    pub(super) fn solve(&self, b: &mut [f64]) {
        for (i, row) in self.rows.iter().enumerate() {
            b[i] = (b[i] - num::dot(&row[..i], &b[..i])) / row[i];
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            let (before, from) = b.split_at_mut(i);
            from[0] /= row[i];
            before.iter_mut().zip(row).for_each(|(b, cell)| *b -= from[0] * cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn members_come_and_go_and_the_equations_stay_solved() {
        let (n, mut random) = (30, Random::new(8));
        let root: Vec<f64> = (0..n * n).map(|_| random.unit() - 0.5).collect();
        let cell = |i: usize, j: usize| (0..n).map(|k| root[k * n + i] * root[k * n + j]).sum::<f64>();
        let hessian: Vec<f64> = (0..n * n).map(|at| cell(at / n, at % n) + f64::from(at % (n + 1) == 0)).collect();
        let mut factor = Factor::new(&hessian, n, (1e-12, 0.3), vec![4, 7, 1]);
        for _ in 0..400 {
            let member = random.below(n);
            if factor.members().contains(&member) {
                factor.leave(member)
            } else {
                factor.join(member)
            }
            let members = factor.members().to_vec();
            let wanted: Vec<f64> = members.iter().map(|_| random.unit()).collect();
            let row =
                |&i: &usize| members.iter().zip(&wanted).map(|(&j, x)| (hessian[i * n + j] + 0.3) * x).sum::<f64>();
            let mut b: Vec<f64> = members.iter().map(row).collect();
            factor.solve(&mut b);
            assert!(b.iter().zip(&wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-9));
        }
    }

    #[test]
    fn a_member_that_says_nothing_new_is_held_until_its_twin_leaves() {
        let hessian = [2.0, 2.0, 2.0, 2.0];
        let mut factor = Factor::new(&hessian, 2, (0.0, 0.0), vec![0, 1]);
        let mut b = [1.0, 1.0];
        factor.solve(&mut b);
        assert!((b[0] - 0.5).abs() < 1e-15 && b[1].abs() < 1e-100);
        factor.leave(0);
        factor.solve(&mut b[..1]);
        assert!((b[0] - 0.25).abs() < 1e-15, "half of the half that it was left with");
    }
}
