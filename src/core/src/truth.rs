//! The labels, in the compact form that each kind of target allows.

use crate::{rows::RowIndex, scope::RowSet};

/// Labels of some rows; what a metric is bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    /// The labels.
    pub values: LabelValues,
    /// A positive weight per row; equal where absent.
    pub weights: Option<Vec<f64>>,
}

/// Labels by kind of target. Every column has one entry per row.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelValues {
    /// 0 or 1, one column per target.
    Binary(Vec<Vec<u8>>),
    /// Finite numbers, one column per target (soft class labels: one column per class).
    Real(Vec<Vec<f64>>),
    /// One class per row, as its position in `names`.
    Class {
        /// Position of the class of each row.
        labels: Vec<u32>,
        /// Names of the classes, in the order of the prediction's columns.
        names: Vec<String>,
    },
    /// Unit vectors.
    Directions(Vec<[f64; 3]>),
    /// Times that ended in an event, or were censored; the prediction is one risk per row.
    Survival {
        /// Finite times.
        time: Vec<f64>,
        /// 1 for an event, 0 where the row was lost sight of.
        event: Vec<u8>,
        /// Number of each row's stratum, from 0 on.
        strata: Option<Vec<u32>>,
    },
}

impl Labels {
    /// Rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        match &self.values {
            LabelValues::Binary(columns) => columns.first().map_or(0, Vec::len),
            LabelValues::Real(columns) => columns.first().map_or(0, Vec::len),
            LabelValues::Class { labels, .. } => labels.len(),
            LabelValues::Directions(vectors) => vectors.len(),
            LabelValues::Survival { time, .. } => time.len(),
        }
    }

    /// Columns that a prediction of them has.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        match &self.values {
            LabelValues::Binary(columns) => columns.len(),
            LabelValues::Real(columns) => columns.len(),
            LabelValues::Class { names, .. } => names.len(),
            LabelValues::Directions(_) => 3,
            LabelValues::Survival { .. } => 1,
        }
    }

    /// The labels of the rows at `positions`.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        fn pick<T: Copy>(column: &[T], positions: &[usize]) -> Vec<T> {
            positions.iter().map(|&row| column[row]).collect()
        }
        let values = match &self.values {
            LabelValues::Binary(c) => LabelValues::Binary(c.iter().map(|c| pick(c, positions)).collect()),
            LabelValues::Real(c) => LabelValues::Real(c.iter().map(|c| pick(c, positions)).collect()),
            LabelValues::Class { labels, names } => {
                LabelValues::Class { labels: pick(labels, positions), names: names.clone() }
            }
            LabelValues::Directions(v) => LabelValues::Directions(pick(v, positions)),
            LabelValues::Survival { time, event, strata } => LabelValues::Survival {
                time: pick(time, positions),
                event: pick(event, positions),
                strata: strata.as_ref().map(|strata| pick(strata, positions)),
            },
        };
        Self { values, weights: self.weights.as_ref().map(|w| pick(w, positions)) }
    }

    /// The labels of some targets alone; `None` where targets are not independent columns.
    #[must_use]
    pub fn targets(&self, targets: &[usize]) -> Option<Self> {
        let values = match &self.values {
            LabelValues::Binary(columns) => {
                LabelValues::Binary(targets.iter().map(|&t| columns.get(t).cloned()).collect::<Option<_>>()?)
            }
            LabelValues::Real(columns) => {
                LabelValues::Real(targets.iter().map(|&t| columns.get(t).cloned()).collect::<Option<_>>()?)
            }
            LabelValues::Class { .. } | LabelValues::Directions(_) | LabelValues::Survival { .. } => return None,
        };
        Some(Self { values, weights: self.weights.clone() })
    }

    /// The labels of one target alone; `None` where targets are not independent columns.
    #[must_use]
    pub fn target(&self, target: usize) -> Option<Self> {
        self.targets(&[target])
    }
}

/// The labels of all rows of a competition with their ids and the names of their columns.
#[derive(Debug, Clone)]
pub struct Truth {
    rows: RowIndex,
    names: Vec<String>,
    labels: Labels,
}

/// Why a table is no truth.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TruthError {
    /// Lengths differ.
    #[error("{what} has {got} rows, {wanted} wanted")]
    Length {
        /// Which part.
        what: String,
        /// Its rows.
        got: usize,
        /// Rows of the index.
        wanted: usize,
    },
    /// A label that is NaN or infinite, where the row is in scope.
    #[error("label `{column}` of row `{id}` is {value}")]
    NotFinite {
        /// Target.
        column: String,
        /// Row.
        id: String,
        /// Its value.
        value: f64,
    },
    /// A weight that is not positive.
    #[error("weight of row `{id}` is {value}, not positive")]
    Weight {
        /// Row.
        id: String,
        /// Its weight.
        value: f64,
    },
    /// No target columns.
    #[error("no target columns")]
    NoTargets,
}

impl Truth {
    /// Checks lengths, labels and weights. `names` are the targets' names, or the classes'.
    pub fn new(rows: RowIndex, names: Vec<String>, labels: Labels) -> Result<Self, TruthError> {
        if labels.n_outputs() == 0 || names.is_empty() {
            return Err(TruthError::NoTargets);
        }
        let wanted = rows.len();
        let length = |what: &str, got: usize| {
            if got == wanted { Ok(()) } else { Err(TruthError::Length { what: what.to_owned(), got, wanted }) }
        };
        match &labels.values {
            LabelValues::Binary(columns) => columns.iter().zip(&names).try_for_each(|(c, n)| length(n, c.len()))?,
            LabelValues::Real(columns) => {
                for (column, name) in columns.iter().zip(&names) {
                    length(name, column.len())?;
                    if let Some(row) = column.iter().position(|value| !value.is_finite()) {
                        return Err(TruthError::NotFinite {
                            column: name.clone(),
                            id: rows.id(row).into_owned(),
                            value: column[row],
                        });
                    }
                }
            }
            LabelValues::Class { labels, .. } => length("labels", labels.len())?,
            LabelValues::Directions(vectors) => length("directions", vectors.len())?,
            LabelValues::Survival { time, event, strata } => {
                length("times", time.len())?;
                length("events", event.len())?;
                length("strata", strata.as_ref().map_or(wanted, Vec::len))?;
                if let Some(row) = time.iter().position(|time| !time.is_finite()) {
                    let (column, id) = (names[0].clone(), rows.id(row).into_owned());
                    return Err(TruthError::NotFinite { column, id, value: time[row] });
                }
            }
        }
        if let Some(weights) = &labels.weights {
            length("weights", weights.len())?;
            if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w > 0.0)) {
                return Err(TruthError::Weight { id: rows.id(row).into_owned(), value: weights[row] });
            }
        }
        Ok(Self { rows, names, labels })
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &RowIndex {
        &self.rows
    }

    /// Names of the targets, or of the classes in column order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The labels of the rows of `set`.
    #[must_use]
    pub fn on(&self, set: &RowSet) -> Labels {
        if set.is_all() { self.labels.clone() } else { self.labels.select(&set.iter().collect::<Vec<_>>()) }
    }
}

/// The unit vector of an azimuth and a zenith, both in radians: `(cos az sin ze, sin az sin ze, cos ze)`.
#[must_use]
pub fn direction(azimuth: f64, zenith: f64) -> [f64; 3] {
    let (sin_ze, cos_ze) = (libm::sin(zenith), libm::cos(zenith));
    [libm::cos(azimuth) * sin_ze, libm::sin(azimuth) * sin_ze, cos_ze]
}

/// Azimuth in [0, 2 pi) and zenith in [0, pi] of a vector of any length, in radians.
#[must_use]
pub fn angles([x, y, z]: [f64; 3]) -> (f64, f64) {
    let azimuth = libm::atan2(y, x);
    let azimuth = if azimuth < 0.0 { azimuth + std::f64::consts::TAU } else { azimuth };
    // A tiny negative angle plus 2 pi rounds to 2 pi itself, which is outside the range.
    let azimuth = if azimuth >= std::f64::consts::TAU { 0.0 } else { azimuth };
    (azimuth, libm::atan2(libm::sqrt(x * x + y * y), z))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn angles_undo_directions(azimuth in 0.0_f64..std::f64::consts::TAU, zenith in 0.01_f64..3.13, length in 0.1_f64..9.0) {
            let v = direction(azimuth, zenith).map(|x| x * length);
            let (az, ze) = angles(v);
            let wrapped = (az - azimuth).abs().min(std::f64::consts::TAU - (az - azimuth).abs());
            prop_assert!(wrapped < 1e-12 && (ze - zenith).abs() < 1e-12);
            prop_assert!((0.0..std::f64::consts::TAU).contains(&az));
        }
    }

    #[test]
    fn the_seam_stays_in_range() {
        assert_eq!(angles([1.0, -1e-300, 0.0]).0, 0.0);
        assert_eq!(angles([0.0, 0.0, -1.0]).1, std::f64::consts::PI);
    }
}
