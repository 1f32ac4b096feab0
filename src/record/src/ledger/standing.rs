//! What all lines of a ledger say together of one content.

use super::{Event, Ledger, Made, What};
use blend_core::Fingerprint;

/// A public score as a line gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Given {
    /// The score.
    pub score: f64,
    /// Its decimals, where they are not the competition's.
    pub decimals: Option<u32>,
    /// Number of the line.
    pub line: usize,
}

/// What is known of a public score.
#[derive(Debug, Clone, PartialEq)]
pub enum PublicState {
    /// Nothing yet.
    Unknown,
    /// This.
    Known(Given),
    /// Scores that cannot all be right, and no correction yet.
    Conflict(Vec<Given>),
}

impl PublicState {
    /// The score, where there is one.
    #[must_use]
    pub fn known(&self) -> Option<Given> {
        match self {
            Self::Known(given) => Some(*given),
            _ => None,
        }
    }
}

/// One content: all that was submitted with these values.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The values.
    pub content: Fingerprint,
    /// What it was called, each once, in order.
    pub names: Vec<What>,
    /// The latest submission made with it.
    pub made: Option<Made>,
    /// Its public score.
    pub public: PublicState,
    /// Its private score.
    pub private: Option<f64>,
    /// Kaggle's numbers of it.
    pub references: Vec<String>,
}

impl Standing {
    fn new(content: Fingerprint) -> Self {
        let (names, references) = (Vec::new(), Vec::new());
        Self { content, names, made: None, public: PublicState::Unknown, private: None, references }
    }

    fn name(&mut self, what: &What) {
        if !self.names.contains(what) {
            self.names.push(what.clone());
        }
    }

    /// One more score: the same to the coarser one's digits, or a conflict.
    fn give(&mut self, given: Given, decimals: u32) {
        let half = |it: &Given| 0.5 * 10f64.powi(-(it.decimals.unwrap_or(decimals) as i32));
        self.public = match std::mem::replace(&mut self.public, PublicState::Unknown) {
            PublicState::Unknown => PublicState::Known(given),
            PublicState::Known(known) => {
                let reach = half(&known).max(half(&given));
                if (known.score - given.score).abs() > reach * (1.0 + 1e-9) {
                    PublicState::Conflict(vec![known, given])
                } else {
                    // The finer of the two.
                    PublicState::Known(if half(&given) < half(&known) { given } else { known })
                }
            }
            PublicState::Conflict(mut all) => {
                if all.iter().all(|it| it.score != given.score) {
                    all.push(given);
                }
                PublicState::Conflict(all)
            }
        };
    }
}

impl Ledger {
    /// Every content in the order in which it first appears. `decimals` are the competition's.
    #[must_use]
    pub fn standings(&self, decimals: u32) -> Vec<Standing> {
        let mut all: Vec<Standing> = Vec::new();
        for line in &self.lines {
            let content = match &line.event {
                Event::Made(made) => made.content,
                Event::Scored(scored) | Event::Corrected(scored) => scored.content,
            };
            let at = all.iter().position(|it| it.content == content).unwrap_or_else(|| {
                all.push(Standing::new(content));
                all.len() - 1
            });
            let standing = &mut all[at];
            match &line.event {
                Event::Made(made) => {
                    standing.name(&What::Submission(made.name.clone()));
                    standing.made = Some(made.clone());
                }
                Event::Scored(scored) | Event::Corrected(scored) => {
                    standing.name(&scored.what);
                    if matches!(line.event, Event::Corrected(_)) && scored.public.is_some() {
                        standing.public = PublicState::Unknown;
                    }
                    if let Some(score) = scored.public {
                        standing.give(Given { score, decimals: scored.decimals, line: line.number }, decimals);
                    }
                    standing.private = scored.private.or(standing.private);
                    if let Some(reference) = scored.reference.clone().filter(|it| !standing.references.contains(it)) {
                        standing.references.push(reference);
                    }
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Line, super::Scored, *};
    use blend_core::ModelId;

    fn line(number: usize, name: &str, content: &str, public: f64, corrected: bool) -> Line {
        let scored = Scored {
            what: What::Model(ModelId::new(name).unwrap()),
            content: Fingerprint::of(content.as_bytes()),
            public: Some(public),
            decimals: None,
            private: None,
            reference: None,
        };
        let event = if corrected { Event::Corrected(scored) } else { Event::Scored(scored) };
        Line { number, time: String::new(), event }
    }

    #[test]
    fn two_scores_for_one_content_wait_for_a_correction() {
        let mut ledger = Ledger::default();
        ledger.lines.push(line(1, "a", "same", 2.99176, false));
        ledger.lines.push(line(2, "b", "other", 3.0, false));
        ledger.lines.push(line(3, "i", "same", 3.0, false));
        let standings = ledger.standings(5);
        assert_eq!(standings.len(), 2);
        assert_eq!(standings[0].names.len(), 2);
        let PublicState::Conflict(given) = &standings[0].public else { panic!("{:?}", standings[0]) };
        assert_eq!(given.iter().map(|it| (it.line, it.score)).collect::<Vec<_>>(), [(1, 2.99176), (3, 3.0)]);
        assert_eq!(standings[1].public.known().map(|it| it.score), Some(3.0));

        ledger.lines.push(line(4, "a", "same", 2.99176, true));
        assert_eq!(ledger.standings(5)[0].public.known().map(|it| it.line), Some(4));
        // Rounded more coarsely it is the same score.
        assert!(matches!(ledger.standings(0)[0].public, PublicState::Known(_)));
        ledger.lines.push(line(5, "i", "same", 3.0, false));
        assert!(ledger.standings(5)[0].public.known().is_none(), "a later score disagrees again");
    }
}
