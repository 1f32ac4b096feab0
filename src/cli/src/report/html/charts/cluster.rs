//! An order in which like models stand beside each other.

use super::super::facts::Matrix;

/// The models of `matrix` so that clusters are neighbors: average linkage on 1 - r (Sokal and Michener 1958), and where
/// two clusters are joined, they are turned so that their nearest ends meet. A correlation that is not known counts as
/// none. The same matrix gives the same order.
pub(crate) fn order(matrix: &Matrix) -> Vec<usize> {
    let n = matrix.names.len();
    let distance = |a: usize, b: usize| 1.0 - matrix.get(a, b).unwrap_or(0.0);
    let mut clusters: Vec<Vec<usize>> = (0..n).map(|model| vec![model]).collect();
    // Mean distances between clusters, kept as clusters are joined (Lance and Williams 1967).
    let mut far: Vec<Vec<f64>> = (0..n).map(|a| (0..n).map(|b| distance(a, b)).collect()).collect();
    while clusters.len() > 1 {
        let (mut a, mut b) = (0, 1);
        for i in 0..clusters.len() {
            for j in i + 1..clusters.len() {
                if far[i][j] < far[a][b] {
                    (a, b) = (i, j);
                }
            }
        }
        let second = clusters.remove(b);
        let away = far.remove(b);
        far.iter_mut().for_each(|row| {
            row.remove(b);
        });
        let (first_size, second_size) = (clusters[a].len() as f64, second.len() as f64);
        for i in 0..clusters.len() {
            let of_second = away[if i < b { i } else { i + 1 }];
            let mean = (far[a][i] * first_size + of_second * second_size) / (first_size + second_size);
            if i != a {
                far[a][i] = mean;
                far[i][a] = mean;
            }
        }
        let first = std::mem::take(&mut clusters[a]);
        clusters[a] = joined(first, second, distance);
    }
    clusters.pop().unwrap_or_default()
}

/// Two runs of models, turned so that the ends that meet are the nearest.
fn joined(mut a: Vec<usize>, mut b: Vec<usize>, distance: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let ends = |run: &[usize]| (run[0], run[run.len() - 1]);
    let ((a0, a1), (b0, b1)) = (ends(&a), ends(&b));
    let meetings = [(a1, b0, false, false), (a1, b1, false, true), (a0, b0, true, false), (a0, b1, true, true)];
    let nearest = meetings.into_iter().min_by(|x, y| distance(x.0, x.1).total_cmp(&distance(y.0, y.1)));
    if let Some((_, _, turn_a, turn_b)) = nearest {
        if turn_a {
            a.reverse();
        }
        if turn_b {
            b.reverse();
        }
    }
    a.append(&mut b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(n: usize, r: impl Fn(usize, usize) -> f64) -> Matrix {
        Matrix {
            title: String::new(),
            names: (0..n).map(|i| format!("m{i}")).collect(),
            values: (0..n * n).map(|at| Some(if at / n == at % n { 1.0 } else { r(at / n, at % n) })).collect(),
        }
    }

    #[test]
    fn kin_stand_together() {
        // Two families, even and odd.
        let order = order(&matrix(8, |a, b| if a % 2 == b % 2 { 0.95 } else { 0.4 }));
        let families: Vec<usize> = order.iter().map(|model| model % 2).collect();
        assert_eq!(families.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1, "{order:?}");
    }

    #[test]
    fn a_chain_is_laid_out_as_a_chain() {
        // Distance grows along a hidden line; names come shuffled.
        let hidden = [3.0, 0.0, 5.0, 1.0, 4.0, 2.0];
        let order = order(&matrix(6, |a, b| 1.0 - 0.1 * f64::abs(hidden[a] - hidden[b])));
        let along: Vec<f64> = order.iter().map(|&model| hidden[model]).collect();
        let steps: f64 = along.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum();
        assert!(steps <= 7.0, "{along:?}");
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5], "every model once");
    }

    #[test]
    fn none_and_one_are_no_trouble() {
        assert_eq!(order(&matrix(0, |_, _| 0.0)), [0; 0]);
        assert_eq!(order(&matrix(1, |_, _| 0.0)), [0]);
    }
}
