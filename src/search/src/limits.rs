//! What narrows the allowed weights beyond their domain.

use crate::{
    constraints::{Constraints, EmptyDomain},
    search::SearchError,
};
use blend_core::{Domain, ModelId};

/// Limits on single weights and on the choice of members. All are optional.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Limits {
    /// Lowest and highest weight of each member, in the members' order; the domain's own where empty. A weight is fixed
    /// where the two are equal.
    pub bounds: Vec<(f64, f64)>,
    /// Most members with a weight other than 0.
    pub max_members: Option<usize>,
    /// Lowest weight of a member that has one at all.
    pub min_weight: Option<f64>,
    /// What the chosen members may cost together.
    pub budget: Option<Budget>,
}

/// A limit on the sum of the chosen members' costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Seconds that each member's inference takes, in the members' order.
    pub seconds: Vec<f64>,
    /// Seconds there are.
    pub limit: f64,
}

impl Limits {
    /// Whether some members may have to go.
    #[must_use]
    pub fn are_sparse(&self) -> bool {
        self.max_members.is_some() || self.min_weight.is_some() || self.budget.is_some()
    }

    /// Whether `weights` obey the limits on the choice of members.
    #[must_use]
    pub fn allow(&self, weights: &[f64]) -> bool {
        let chosen = || weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
        let cost = |budget: &Budget| chosen().map(|(member, _)| budget.seconds[member]).sum::<f64>();
        self.max_members.is_none_or(|most| chosen().count() <= most)
            && self.min_weight.is_none_or(|least| chosen().all(|(_, weight)| *weight >= least - 1e-12))
            && self.budget.as_ref().is_none_or(|budget| cost(budget) <= budget.limit)
    }

    /// The constraints on the weights of `models`.
    pub(crate) fn constraints(&self, domain: Domain, models: &[&ModelId]) -> Result<Constraints, SearchError> {
        if self.bounds.is_empty() {
            return Ok(Constraints::of(domain, models.len()));
        }
        Constraints::within(domain, &self.bounds).map_err(|error| match error {
            EmptyDomain::Crossed { member, low, high } => {
                SearchError::Crossed { model: models[member].clone(), low, high }
            }
            EmptyDomain::Sum { low, high } => SearchError::NoSum { low, high },
        })
    }
}
