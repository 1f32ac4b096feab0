//! Members by likeness: in which order a heat map shows its blocks, and which members are one in all but name.

use super::Correlations;

/// How far apart two members are: 0 the same, 2 opposite; those without a correlation are strangers.
fn distance(it: &Correlations, a: usize, b: usize) -> f64 {
    1.0 - it.get(a, b).unwrap_or(0.0)
}

/// Merges the two nearest clusters again and again while they are nearer than `limit`. `linkage` makes of a cluster's
/// distances to both (with both sizes) the distance to their union. Ties go to the earlier members.
fn merge(it: &Correlations, limit: f64, linkage: impl Fn((f64, usize), (f64, usize)) -> f64) -> Vec<Vec<usize>> {
    let mut clusters: Vec<Vec<usize>> = (0..it.n_models()).map(|member| vec![member]).collect();
    let mut apart: Vec<Vec<f64>> =
        (0..it.n_models()).map(|a| (0..it.n_models()).map(|b| distance(it, a, b)).collect()).collect();
    loop {
        let pairs = (0..clusters.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let nearest = pairs.map(|(a, b)| (apart[a][b], a, b)).min_by(|x, y| x.0.total_cmp(&y.0));
        let Some((_, a, b)) = nearest.filter(|(distance, ..)| *distance < limit) else { return clusters };
        let (size_a, size_b) = (clusters[a].len(), clusters[b].len());
        let joined: Vec<f64> =
            apart[a].iter().zip(&apart[b]).map(|(to_a, to_b)| linkage((*to_a, size_a), (*to_b, size_b))).collect();
        apart.iter_mut().zip(&joined).for_each(|(row, joined)| row[a] = *joined);
        apart[a] = joined;
        // What is alike stands side by side: the second is turned so that its nearer end meets the first.
        let mut second = clusters.remove(b);
        let end = |member: Option<&usize>, of: &[usize]| {
            member.zip(of.last()).map_or(0.0, |(member, last)| distance(it, *member, *last))
        };
        if end(second.last(), &clusters[a]) < end(second.first(), &clusters[a]) {
            second.reverse();
        }
        clusters[a].extend(second);
        apart.remove(b);
        for row in &mut apart {
            row.remove(b);
        }
    }
}

impl Correlations {
    /// All members in an order in which those that are alike stand together: average linkage on `1 - r`.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let mean = |(a, n): (f64, usize), (b, m): (f64, usize)| (a * n as f64 + b * m as f64) / (n + m) as f64;
        merge(self, f64::INFINITY, mean).concat()
    }

    /// Groups of at least two members of which every two correlate by more than `least`: complete linkage. Members
    /// ascend within a group.
    #[must_use]
    pub fn clusters(&self, least: f64) -> Vec<Vec<usize>> {
        let mut clusters = merge(self, 1.0 - least, |(a, _), (b, _)| a.max(b));
        clusters.retain(|cluster| cluster.len() > 1);
        clusters.iter_mut().for_each(|cluster| cluster.sort_unstable());
        clusters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_stands_together() {
        // Two blocks, 0 2 4 and 1 3, and a stranger.
        let alike = |a: usize, b: usize| match (a == b, a < 5 && b < 5, a % 2 == b % 2) {
            (true, ..) => 1.0,
            (_, true, true) => 0.99 - 0.001 * (a + b) as f64,
            (_, true, false) => 0.5,
            _ => f64::NAN,
        };
        let values = (0..6).flat_map(|a| (0..6).map(move |b| alike(a, b))).collect();
        let it = Correlations { n_models: 6, values };
        assert_eq!(it.clusters(0.95), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(it.clusters(0.986), [vec![0, 2]], "complete linkage: every two are near");
        assert_eq!(it.clusters(0.4), [vec![0, 1, 2, 3, 4]]);
        let order = it.order();
        let place = |member: usize| order.iter().position(|it| *it == member).unwrap();
        assert_eq!(place(1).abs_diff(place(3)), 1);
        assert_eq!(
            [place(0), place(2), place(4)].iter().max().unwrap() - [place(0), place(2), place(4)].iter().min().unwrap(),
            2
        );
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    }
}
