//! What a sensor adds to its pulses: position, quantum efficiency, ice at its depth.

use super::{columns, numbers};
use crate::error::InferError;
use blend_core::{TableSource, manifest::Compatibility};

/// Metres per unit of length.
const LENGTH: f64 = 500.0;
/// Depth of the coordinates' origin, metres.
const DEPTH: f64 = 1950.0;
/// Modules on a string of IceCube.
const STRING: usize = 60;
/// DeepCore's strings, counted from 0; their modules from the tenth on have high-efficiency tubes.
const DEEP_CORE: std::ops::Range<usize> = 78..86;

/// All sensors by id.
#[derive(Debug)]
pub(crate) struct Sensors(Vec<Option<Sensor>>);

/// One sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sensor {
    /// x, y, z in units of 500 m.
    pub(crate) position: [f32; 3],
    /// 1 for high quantum efficiency.
    pub(crate) qe: bool,
    /// Scattering and absorption length, scaled; 0 without an ice table.
    pub(crate) ice: [f32; 2],
}

impl Sensors {
    /// Reads geometry and ice.
    pub(super) fn read(
        model: &str,
        geometry: &dyn TableSource,
        ice: Option<&dyn TableSource>,
        compatibility: Compatibility,
    ) -> Result<Self, InferError> {
        let refuse =
            |reason: String| InferError::Read { model: model.to_owned(), table: "geometry".to_owned(), reason };
        let positions = columns(model, "geometry", geometry, &["x", "y", "z"])?;
        let ids = geometry.rows().as_ints().filter(|ids| ids.iter().all(|id| (0..1 << 24).contains(id)));
        let ids = ids.ok_or_else(|| refuse(format!("{}: sensor ids are whole numbers from 0", geometry.place())))?;
        let xyz = numbers(model, "geometry", geometry, &positions)?;
        let own_qe = geometry.columns().iter().position(|(name, _)| name == "qe");
        let own_qe = own_qe.map(|at| numbers(model, "geometry", geometry, &[at])).transpose()?;
        let ice = ice.map(|ice| Ice::read(model, ice)).transpose()?;
        let mut sensors = vec![None; ids.iter().max().map_or(0, |&id| id as usize + 1)];
        for (row, &id) in ids.iter().enumerate() {
            let scaled = [0, 1, 2].map(|axis: usize| xyz[axis][row] / LENGTH);
            let qe = match &own_qe {
                Some(column) => column[0][row] != 0.0,
                None => is_efficient(id as usize, compatibility),
            };
            sensors[id as usize] = Some(Sensor {
                position: scaled.map(|x| x as f32),
                qe,
                ice: ice.as_ref().map_or([0.0; 2], |ice| ice.at(scaled[2])),
            });
        }
        Ok(Self(sensors))
    }

    pub(super) fn has(&self, id: i64) -> bool {
        usize::try_from(id).is_ok_and(|id| self.0.get(id).is_some_and(Option::is_some))
    }

    /// The sensor `id`; one without anything where there is none.
    pub(super) fn get(&self, id: u32) -> Sensor {
        self.0.get(id as usize).copied().flatten().unwrap_or_default()
    }
}

/// Whether a sensor of IceCube has a tube of high quantum efficiency. The second place's slice is one too late: it
/// misses the first module of each string and takes in the first of the next string.
fn is_efficient(id: usize, compatibility: Compatibility) -> bool {
    let shift = usize::from(compatibility == Compatibility::IceCubeSecondPlace);
    DEEP_CORE.clone().any(|string| (string * STRING + 10 + shift..string * STRING + STRING + shift).contains(&id))
}

/// Scattering and absorption length over depth, scaled.
struct Ice {
    z: Vec<f64>,
    lengths: [Vec<f64>; 2],
}

impl Ice {
    fn read(model: &str, ice: &dyn TableSource) -> Result<Self, InferError> {
        let refuse = |reason: String| InferError::Read { model: model.to_owned(), table: "ice".to_owned(), reason };
        let known: Vec<&str> = ice.columns().iter().map(|(name, _)| name.as_str()).collect();
        // The published table calls them `scattering_len` and `absorption_len`.
        let like = |start: &str| known.iter().position(|name| name.starts_with(start));
        let (Some(depth), Some(scattering), Some(absorption)) = (like("depth"), like("scattering"), like("absorption"))
        else {
            let reason = format!("{}: its columns are depth, scattering and absorption, not {known:?}", ice.place());
            return Err(refuse(reason));
        };
        let mut read = numbers(model, "ice", ice, &[depth, scattering, absorption])?;
        let (absorption, scattering) = (read.pop().unwrap_or_default(), read.pop().unwrap_or_default());
        let depth = read.pop().unwrap_or_default();
        let mut order: Vec<usize> = (0..depth.len()).collect();
        order.sort_by(|&a, &b| depth[a].total_cmp(&depth[b]));
        let in_order = |values: &[f64]| order.iter().map(|&row| values[row]).collect::<Vec<f64>>();
        Ok(Self {
            z: in_order(&depth).into_iter().map(|depth| (depth - DEPTH) / LENGTH).collect(),
            lengths: [scattering, absorption].map(|lengths| in_order(&scaled(&lengths))),
        })
    }

    /// Linear between the rows of the table, constant beyond its ends.
    fn at(&self, z: f64) -> [f32; 2] {
        let after = self.z.partition_point(|&known| known <= z);
        self.lengths.each_ref().map(|lengths| {
            let value = match after {
                0 => lengths[0],
                after if after == lengths.len() => lengths[after - 1],
                after => {
                    let (z0, z1) = (self.z[after - 1], self.z[after]);
                    lengths[after - 1] + (lengths[after] - lengths[after - 1]) * (z - z0) / (z1 - z0)
                }
            };
            value as f32
        })
    }
}

/// Less the median, divided by the interquartile range (by 1 where that is 0).
fn scaled(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Linear between order statistics, as numpy's percentile does it.
    let quantile = |q: f64| {
        let at = q * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    };
    let range = quantile(0.75) - quantile(0.25);
    let range = if range == 0.0 { 1.0 } else { range };
    values.iter().map(|value| (value - quantile(0.5)) / range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_core_has_the_efficient_tubes() {
        let count = |compatibility| (0..5160).filter(|&id| is_efficient(id, compatibility)).count();
        assert_eq!(count(Compatibility::None), 8 * 50);
        // Shifted by one; the last one falls off the detector.
        assert_eq!(count(Compatibility::IceCubeSecondPlace), 8 * 50 - 1);
        let first = 78 * STRING + 10;
        assert!(is_efficient(first, Compatibility::None) && !is_efficient(first - 1, Compatibility::None));
        assert!(!is_efficient(first, Compatibility::IceCubeSecondPlace));
        assert!(is_efficient(79 * STRING, Compatibility::IceCubeSecondPlace));
        assert!(!is_efficient(79 * STRING, Compatibility::None));
    }

    #[test]
    fn lengths_are_scaled_by_median_and_quartiles() {
        // sklearn's RobustScaler of the same: median 3, quartiles 2 and 10.
        assert_eq!(scaled(&[10.0, 1.0, 2.0, 3.0, 30.0]), [0.875, -0.25, -0.125, 0.0, 3.375]);
        assert_eq!(scaled(&[2.0, 2.0]), [0.0, 0.0]);
        let ice = Ice { z: vec![-1.0, 0.0, 1.0], lengths: [vec![0.0, 2.0, 4.0], vec![1.0, 1.0, 3.0]] };
        assert_eq!(ice.at(0.5), [3.0, 2.0]);
        assert_eq!(ice.at(-9.0), [0.0, 1.0]);
        assert_eq!(ice.at(1.0), [4.0, 3.0]);
        assert_eq!(ice.at(9.0), [4.0, 3.0]);
    }
}
