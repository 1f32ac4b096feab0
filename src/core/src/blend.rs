//! A blend: which members, on which scale, with which weights.

use crate::{
    fingerprint::Fingerprint,
    id::{BlendName, CompetitionId, ModelId},
    manifest::ColumnFile,
    post::PostStep,
    space::SpaceName,
    weights::{Domain, Weights, WeightsError},
};

/// A model with its weight and the fingerprints of the outputs it was weighed on.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The base model.
    pub model: ModelId,
    /// Its weight.
    pub weight: f64,
    /// Its OOF outputs; absent in a recipe written by hand.
    pub oof: Option<Fingerprint>,
    /// Its test outputs; absent in a recipe written by hand, or where there are none.
    pub test: Option<Fingerprint>,
}

/// Where a blend's weights may differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Granularity {
    /// One weight per member.
    #[default]
    Global,
    /// One per member and target.
    PerTarget,
    /// One per member and named group of targets.
    Targets(Vec<(String, Vec<String>)>),
    /// One per member and group of rows, named by a column of a table.
    Rows(ColumnFile),
}

impl Granularity {
    /// The name in YAML and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::PerTarget => "per_target",
            Self::Targets(_) => "targets",
            Self::Rows(_) => "rows",
        }
    }
}

/// The weights of one part of the predictions: a target, a group of targets or of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct PartWeights {
    /// The target's or the group's name.
    pub part: String,
    /// In the members' order.
    pub weights: Vec<f64>,
}

/// Members distinct by id and by fingerprint, weights inside their domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    name: BlendName,
    competition: CompetitionId,
    space: SpaceName,
    domain: Domain,
    members: Vec<Member>,
    post: Vec<PostStep>,
    granularity: Granularity,
    parts: Vec<PartWeights>,
    intercept: f64,
}

/// Why members and weights make no blend.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BlendError {
    /// One model twice.
    #[error("member `{0}` stands twice")]
    Twice(ModelId),
    /// Two names for the same outputs.
    #[error("members `{0}` and `{1}` have the same outputs ({2})")]
    SameOutputs(ModelId, ModelId, Fingerprint),
    /// Weights outside the domain.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights of a part outside the domain.
    #[error("part `{part}`: {source}")]
    Part {
        /// The part.
        part: String,
        /// What is wrong.
        source: WeightsError,
    },
    /// A part's weights are not one per member.
    #[error("part `{part}` has {got} weights for {wanted} members")]
    Count {
        /// The part.
        part: String,
        /// Its weights.
        got: usize,
        /// Members.
        wanted: usize,
    },
    /// One part twice.
    #[error("part `{0}` stands twice")]
    PartTwice(String),
    /// An intercept beside weights that sum to one or differ from part to part.
    #[error("an intercept of {0} goes with one set of weights whose sum is free")]
    Intercept(f64),
    /// Parts where there are none, or none where there have to be some.
    #[error("granularity `{0}` and weights by part do not go together")]
    Parts(&'static str),
}

impl Blend {
    /// Checks members and weights.
    pub fn new(
        name: BlendName,
        competition: CompetitionId,
        space: SpaceName,
        domain: Domain,
        members: Vec<Member>,
        post: Vec<PostStep>,
    ) -> Result<Self, BlendError> {
        for (i, a) in members.iter().enumerate() {
            for b in &members[..i] {
                if a.model == b.model {
                    return Err(BlendError::Twice(a.model.clone()));
                }
                for (mine, other) in [(a.oof, b.oof), (a.test, b.test)] {
                    if let (Some(mine), Some(other)) = (mine, other)
                        && mine == other
                    {
                        return Err(BlendError::SameOutputs(b.model.clone(), a.model.clone(), mine));
                    }
                }
            }
        }
        Weights::new(domain, members.iter().map(|member| member.weight).collect())?;
        let (granularity, parts) = (Granularity::Global, Vec::new());
        Ok(Self { name, competition, space, domain, members, post, granularity, parts, intercept: 0.0 })
    }

    /// The same blend with weights that differ from part to part. The members' own weights stay those of all parts
    /// together: they serve rows of a group that has no weights of its own.
    pub fn with_parts(mut self, granularity: Granularity, parts: Vec<PartWeights>) -> Result<Self, BlendError> {
        if parts.is_empty() != (granularity == Granularity::Global) {
            return Err(BlendError::Parts(granularity.name()));
        }
        for (i, PartWeights { part, weights }) in parts.iter().enumerate() {
            if parts[..i].iter().any(|other| other.part == *part) {
                return Err(BlendError::PartTwice(part.clone()));
            }
            if weights.len() != self.members.len() {
                let (got, wanted) = (weights.len(), self.members.len());
                return Err(BlendError::Count { part: part.clone(), got, wanted });
            }
            Weights::new(self.domain, weights.clone())
                .map_err(|source| BlendError::Part { part: part.clone(), source })?;
        }
        (self.granularity, self.parts) = (granularity, parts);
        Ok(self)
    }

    /// The same blend with a number added to every output on the scale of averaging.
    pub fn with_intercept(mut self, intercept: f64) -> Result<Self, BlendError> {
        if intercept != 0.0 && (self.domain.sums_to_one() || !intercept.is_finite() || !self.parts.is_empty()) {
            return Err(BlendError::Intercept(intercept));
        }
        self.intercept = intercept;
        Ok(self)
    }

    /// What is added to every output on the scale of averaging.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// Where the weights differ.
    #[must_use]
    pub fn granularity(&self) -> &Granularity {
        &self.granularity
    }

    /// The weights of each part; empty where they are the same everywhere.
    #[must_use]
    pub fn parts(&self) -> &[PartWeights] {
        &self.parts
    }

    /// The recipe's name.
    #[must_use]
    pub fn name(&self) -> &BlendName {
        &self.name
    }

    /// The competition.
    #[must_use]
    pub fn competition(&self) -> &CompetitionId {
        &self.competition
    }

    /// On which scale members are averaged.
    #[must_use]
    pub fn space(&self) -> SpaceName {
        self.space
    }

    /// Which weights were allowed.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Members in the recipe's order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Steps after the competition's own.
    #[must_use]
    pub fn post(&self) -> &[PostStep] {
        &self.post
    }

    /// The members' weights, in order.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        self.members.iter().map(|member| member.weight).collect()
    }

    /// The same blend with every member's fingerprints replaced by what `of` gives.
    pub fn with_fingerprints(
        mut self,
        of: impl Fn(&ModelId) -> (Option<Fingerprint>, Option<Fingerprint>),
    ) -> Result<Self, BlendError> {
        for member in &mut self.members {
            (member.oof, member.test) = of(&member.model);
        }
        Self::new(self.name, self.competition, self.space, self.domain, self.members, self.post)?
            .with_parts(self.granularity, self.parts)?
            .with_intercept(self.intercept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blend(members: Vec<Member>) -> Result<Blend, BlendError> {
        Blend::new(
            BlendName::new("b").unwrap(),
            CompetitionId::new("c").unwrap(),
            SpaceName::Linear,
            Domain::Simplex,
            members,
            vec![],
        )
    }

    fn member(name: &str, weight: f64, oof: &str) -> Member {
        let oof = Some(Fingerprint::of(oof.as_bytes()));
        Member { model: ModelId::new(name).unwrap(), weight, oof, test: None }
    }

    #[test]
    fn parts_have_a_weight_for_each_member() {
        let two = || blend(vec![member("a", 0.5, "1"), member("b", 0.5, "2")]).unwrap();
        let part = |part: &str, weights: &[f64]| PartWeights { part: part.to_owned(), weights: weights.to_vec() };
        let with = |parts: Vec<PartWeights>| two().with_parts(Granularity::PerTarget, parts);
        assert!(with(vec![part("s", &[0.2, 0.8]), part("t", &[1.0, 0.0])]).is_ok());
        assert!(matches!(with(vec![part("s", &[0.2, 0.7])]), Err(BlendError::Part { .. })));
        assert!(matches!(with(vec![part("s", &[1.0])]), Err(BlendError::Count { .. })));
        assert!(matches!(with(vec![part("s", &[0.2, 0.8]); 2]), Err(BlendError::PartTwice(_))));
        assert!(matches!(with(vec![]), Err(BlendError::Parts("per_target"))));
    }

    #[test]
    fn members_are_distinct() {
        assert!(blend(vec![member("a", 0.5, "1"), member("b", 0.5, "2")]).is_ok());
        assert!(matches!(blend(vec![member("a", 0.5, "1"), member("a", 0.5, "2")]), Err(BlendError::Twice(_))));
        assert!(matches!(blend(vec![member("a", 0.5, "1"), member("b", 0.5, "1")]), Err(BlendError::SameOutputs(..))));
    }
}
