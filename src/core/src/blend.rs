//! A blend: which members, on which scale, with which weights.

use crate::{
    fingerprint::Fingerprint,
    id::{BlendName, CompetitionId, ModelId},
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

/// Members distinct by id and by fingerprint, weights inside their domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Blend {
    name: BlendName,
    competition: CompetitionId,
    space: SpaceName,
    domain: Domain,
    members: Vec<Member>,
    post: Vec<PostStep>,
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
        Ok(Self { name, competition, space, domain, members, post })
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
        Self::new(self.name, self.competition, self.space, self.domain, self.members, self.post)
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
    fn members_are_distinct() {
        assert!(blend(vec![member("a", 0.5, "1"), member("b", 0.5, "2")]).is_ok());
        assert!(matches!(blend(vec![member("a", 0.5, "1"), member("a", 0.5, "2")]), Err(BlendError::Twice(_))));
        assert!(matches!(blend(vec![member("a", 0.5, "1"), member("b", 0.5, "1")]), Err(BlendError::SameOutputs(..))));
    }
}
