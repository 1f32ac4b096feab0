//! What the smooth form of a metric obeys, in every space that has one.

use super::{Case, N_ROWS, Random, cases, close, prediction};
use crate::{
    block::Block,
    judge::{Absolute, Bound, Cells, Combine, RowCurvature, RowLoss, Smooth, Squares, TrueClass, score},
    num,
    output::{Encoding, OutputKind},
    space::{self, Space, SpaceName},
};

/// A case in a space: everything a law needs.
struct Form<'a> {
    name: String,
    space: &'static dyn Space,
    bound: &'a dyn Bound,
    kind: OutputKind,
    smooth: Smooth<'a>,
}

fn every_form(mut law: impl FnMut(&Form<'_>)) {
    let mut forms = 0;
    for case in cases() {
        let bound = case.bound();
        for (name, space) in space::CATALOGUE {
            if let Some(form) = form(&case, &*bound, name, space) {
                law(&form);
                forms += 1;
            }
        }
    }
    assert!(forms > 50, "{forms}");
}

fn form<'a>(case: &Case, bound: &'a dyn Bound, name: SpaceName, space: &'static dyn Space) -> Option<Form<'a>> {
    let smooth = bound.smooth(name)?;
    let kind = case.info.predictions.iter().copied().find(|kind| space.info().accepts.contains(kind));
    let kind = kind.unwrap_or_else(|| panic!("{} cannot enter {}", case.name, space.info().name));
    Some(Form { name: format!("{} in {}", case.name, space.info().name), space, bound, kind, smooth })
}

impl Form<'_> {
    /// A member as it stands in the space, moved into the range that the smooth form asks for.
    fn member(&self, random: &mut Random) -> Block {
        let mut member = prediction(self.kind, self.bound.n_outputs(), random);
        self.space.enter(Encoding::plain(self.kind), self.bound.preparation(), &mut member);
        let range = match &self.smooth {
            Smooth::Cells(cells) => cells.member_range(),
            Smooth::TrueClass(labels) => Some((labels.clip, f64::INFINITY)),
            _ => None,
        };
        if let Some((low, high)) = range {
            member.values_mut().iter_mut().for_each(|x| *x = x.clamp(low, high));
        }
        member
    }

    fn blend(&self, random: &mut Random) -> Block {
        mix(&self.member(random), &self.member(random), random.next())
    }

    /// The oriented score of what a blend is when it leaves.
    fn loss(&self, u: &Block) -> f64 {
        let mut natural = u.clone();
        self.space.leave(&mut natural);
        self.bound.direction().loss(crate::score::Score(score(self.bound, &natural))).value()
    }

    /// The smooth loss, divided by its mass.
    fn value(&self, u: &Block) -> f64 {
        match &self.smooth {
            Smooth::Cells(cells) => {
                (0..u.n_outputs()).map(|t| cells.value(t, 0, u.column(t))).sum::<f64>() / cells.mass()
            }
            Smooth::Rows(rows) => rows.value(0, u) / rows.mass(),
            Smooth::TrueClass(labels) => true_class(labels, u),
            Smooth::Squares(squares) => squares.combine.value(&means(squares, u)),
            Smooth::Absolute(absolute) => mean_absolute(absolute, u),
        }
    }

    fn is_convex(&self) -> bool {
        match &self.smooth {
            Smooth::Cells(cells) => cells.is_convex(),
            Smooth::Rows(rows) => rows.is_convex(),
            Smooth::TrueClass(_) | Smooth::Squares(_) | Smooth::Absolute(_) => true,
        }
    }
}

fn mix(a: &Block, b: &Block, w: f64) -> Block {
    let mut sum = Block::new(a.n_outputs(), a.n_rows());
    sum.add_scaled(w, a);
    sum.add_scaled(1.0 - w, b);
    sum
}

fn weighted_mean(weights: Option<&[f64]>, terms: &[f64]) -> f64 {
    match weights {
        Some(weights) => num::dot(terms, weights) / num::sum(weights),
        None => num::sum(terms) / terms.len() as f64,
    }
}

fn true_class(labels: &TrueClass<'_>, u: &Block) -> f64 {
    let rows = labels.labels.iter().enumerate();
    let terms: Vec<f64> = rows.map(|(row, &class)| -num::ln(u.get(class as usize, row))).collect();
    weighted_mean(labels.weights, &terms)
}

fn means(squares: &Squares<'_>, u: &Block) -> Vec<f64> {
    let square = |t: usize| -> Vec<f64> {
        u.column(t).iter().zip(&squares.targets[t]).map(|(u, y)| (u - y) * (u - y)).collect()
    };
    (0..u.n_outputs()).map(|t| weighted_mean(squares.weights, &square(t))).collect()
}

fn mean_absolute(absolute: &Absolute<'_>, u: &Block) -> f64 {
    let mut total = 0.0;
    for (t, target) in absolute.targets.iter().enumerate() {
        for (row, (u, y)) in u.column(t).iter().zip(target).enumerate() {
            total += absolute.factor(t, row) * (absolute.scale * (u - y).abs() + absolute.tilt * (u - y));
        }
    }
    total / absolute.weights.map_or(u.n_rows() as f64, num::sum) / u.n_outputs() as f64
}

/// The central difference of `f` by one cell of `u`, and the step it was taken with.
fn difference(u: &Block, output: usize, row: usize, f: impl Fn(&Block) -> f64) -> f64 {
    let step = 1e-5 * u.get(output, row).abs().max(1e-2);
    let mut moved = u.clone();
    moved.set(output, row, u.get(output, row) + step);
    let above = f(&moved);
    moved.set(output, row, u.get(output, row) - step);
    (above - f(&moved)) / (2.0 * step)
}

#[test]
fn the_smooth_value_is_the_score_of_the_blend() {
    every_form(|form| {
        let mut random = Random(10);
        for _ in 0..5 {
            let u = form.blend(&mut random);
            let (smooth, score) = (form.value(&u), form.loss(&u));
            assert!(close(smooth, score, 1e-10), "{}: {smooth} and {score}", form.name);
        }
    });
}

#[test]
fn gradients_are_differences_of_the_score() {
    every_form(|form| {
        let u = form.blend(&mut Random(11));
        let (d, mass) = match &form.smooth {
            Smooth::Cells(cells) => (cell_slopes(&**cells, &u).0, cells.mass()),
            Smooth::Rows(rows) => (row_slopes(&**rows, &u, None), rows.mass()),
            // Their gradients are the solver's to write.
            _ => return,
        };
        // Where rows are divided by their sum, the smooth form is the loss of blends whose rows sum to one already,
        // and only its slopes along such blends are the score's.
        let along = form.bound.preparation().renormalize;
        for row in (0..N_ROWS).step_by(7) {
            let wanted = |output: usize| difference(&u, output, row, |u| form.loss(u)) * mass;
            let (d0, wanted0) = if along { (d.get(0, row), wanted(0)) } else { (0.0, 0.0) };
            for output in 0..u.n_outputs() {
                let (got, wanted) = (d.get(output, row) - d0, wanted(output) - wanted0);
                assert!(close(got, wanted, 2e-5), "{} at {output}, {row}: {got} and {wanted}", form.name);
            }
        }
    });
}

/// Slopes and curvatures of all cells; the three ways to ask give the same numbers.
fn cell_slopes(cells: &dyn Cells, u: &Block) -> (Block, Block) {
    let (mut d, mut h) = (u.clone(), u.clone());
    for t in 0..u.n_outputs() {
        let curved = cells.curve(t, 0, u.column(t), d.column_mut(t), h.column_mut(t));
        let mut alone = vec![0.0; u.n_rows()];
        let sloped = cells.slope(t, 0, u.column(t), &mut alone);
        assert_eq!(alone, d.column(t));
        assert!(close(curved, sloped, 1e-14) && close(curved, cells.value(t, 0, u.column(t)), 1e-14));
        // From the middle of the rows it is the sum of the parts.
        let (first, rest) = u.column(t).split_at(25);
        let parts = cells.slope(t, 0, first, &mut alone[..25]) + cells.slope(t, 25, rest, &mut vec![0.0; rest.len()]);
        assert!(close(curved, parts, 1e-12));
        assert_eq!(alone[..25], d.column(t)[..25]);
    }
    (d, h)
}

fn row_slopes(rows: &dyn RowLoss, u: &Block, curvature: Option<&mut RowCurvature>) -> Block {
    let mut d = Block::default();
    let sloped = rows.slope(0, u, &mut d, curvature);
    assert!(close(sloped, rows.value(0, u), 1e-14));
    let tail = super::select(u, &(25..N_ROWS).collect::<Vec<_>>());
    let mut part = Block::default();
    rows.slope(25, &tail, &mut part, None);
    assert_eq!(part, super::select(&d, &(25..N_ROWS).collect::<Vec<_>>()));
    d
}

#[test]
fn curvature_is_the_difference_of_the_gradient() {
    every_form(|form| {
        let u = form.blend(&mut Random(12));
        match &form.smooth {
            Smooth::Cells(cells) => {
                let (_, h) = cell_slopes(&**cells, &u);
                for output in 0..u.n_outputs() {
                    for row in (0..N_ROWS).step_by(7) {
                        let slope = |u: &Block| cell_slopes(&**cells, u).0.get(output, row);
                        let (got, wanted) = (h.get(output, row), difference(&u, output, row, slope));
                        assert!(close(got, wanted, 1e-6), "{}: {got} and {wanted}", form.name);
                    }
                }
            }
            Smooth::Rows(rows) => {
                let mut curvature = RowCurvature::default();
                row_slopes(&**rows, &u, Some(&mut curvature));
                if rows.is_convex() {
                    exact(form, &**rows, &u, &curvature);
                } else {
                    // A stand-in that only has to be positive semidefinite.
                    assert!(curvature.diagonal.values().iter().chain(&curvature.sigma).all(|x| *x >= 0.0));
                }
            }
            _ => {}
        }
    });
}

/// `diag + sigma c c'` is the whole matrix of second derivatives of a row.
fn exact(form: &Form<'_>, rows: &dyn RowLoss, u: &Block, curvature: &RowCurvature) {
    for row in (0..N_ROWS).step_by(7) {
        for a in 0..u.n_outputs() {
            for b in 0..u.n_outputs() {
                let wanted = difference(u, b, row, |u| row_slopes(rows, u, None).get(a, row));
                let diagonal = if a == b { curvature.diagonal.get(a, row) } else { 0.0 };
                let got = diagonal + curvature.sigma[row] * curvature.c.get(a, row) * curvature.c.get(b, row);
                assert!(close(got, wanted, 1e-6), "{} at {a}, {b}: {got} and {wanted}", form.name);
            }
        }
    }
}

#[test]
fn what_is_called_convex_is() {
    every_form(|form| {
        let mut random = Random(13);
        for _ in 0..20 {
            let (a, b) = (form.member(&mut random), form.member(&mut random));
            if form.is_convex() {
                let middle = form.value(&mix(&a, &b, 0.5));
                let chord = 0.5 * (form.value(&a) + form.value(&b));
                assert!(middle <= chord + 1e-12 * (1.0 + chord.abs()), "{}: {middle} above {chord}", form.name);
            }
        }
    });
}

#[test]
fn fixed_weights_of_squares_order_blends_as_the_loss_does() {
    every_form(|form| {
        let Smooth::Squares(squares) = &form.smooth else { return };
        let mut random = Random(14);
        let Some(weights) = squares.combine.linear_weights(form.bound.n_outputs()) else {
            assert!(matches!(squares.combine, Combine::MeanOfRoots));
            return;
        };
        for _ in 0..20 {
            let (a, b) = (means(squares, &form.blend(&mut random)), means(squares, &form.blend(&mut random)));
            let linear = |m: &[f64]| m.iter().zip(&weights).map(|(m, w)| m * w).sum::<f64>();
            let by_loss = squares.combine.value(&a) < squares.combine.value(&b);
            assert_eq!(linear(&a) < linear(&b), by_loss, "{}", form.name);
        }
    });
}

#[test]
fn the_edges_of_the_domain_are_never_nan() {
    every_form(|form| {
        let Smooth::Cells(cells) = &form.smooth else { return };
        let Some((low, _)) = cells.member_range() else { return };
        assert!(low > 0.0);
        let mut u = vec![0.5; N_ROWS];
        u[N_ROWS - 1] = -0.1;
        for t in 0..form.bound.n_outputs() {
            // Where the label is certain the other side is still inside: then the loss is finite, never NaN.
            let value = cells.value(t, 0, &u);
            assert!(value == f64::INFINITY || value.is_finite(), "{}", form.name);
        }
        // All members at the clip, under weights that are nearly nothing: a product of likelihoods would vanish.
        let tiny = vec![low * 1e-9; N_ROWS];
        assert!((0..form.bound.n_outputs()).all(|t| cells.value(t, 0, &tiny).is_finite()), "{}", form.name);
    });
}
