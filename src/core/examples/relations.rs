//! What correlations cost: reads f32 values of shape (n_models, n_outputs, n_rows) from a file and prints, for each
//! method, CPU seconds and the mean correlation over pairs as a line of JSON.
//!
//! `cargo run --example relations FILE N_MODELS N_OUTPUTS`; see `scripts/bench_audit.py`. Times are from Linux's `/proc`.
#![allow(clippy::print_stdout, missing_docs)]

use blend_core::{
    Fingerprint, ModelId, Oof, OutputKind, PredictionMatrix, Predictions, RowIndex, RowSet,
    compare::{Correlations, kendall, pearson, spearman},
    output::Encoding,
    source::OwnedBlocks,
};
use std::{error::Error, sync::Arc};

/// CPU seconds of this process so far, user and system, all threads.
fn cpu() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program may hold spaces; what follows its parenthesis does not.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, n_models, n_outputs] = &arguments[..] else { return Err("FILE N_MODELS N_OUTPUTS".into()) };
    let (n_models, n_outputs): (usize, usize) = (n_models.parse()?, n_outputs.parse()?);
    let bytes = std::fs::read(file)?;
    let (words, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let n_rows = values.len() / (n_models * n_outputs);
    let rows = RowIndex::positions(n_rows)?;
    let columns: Arc<[String]> = (0..n_outputs).map(|output| format!("target_{output}")).collect();
    let members = values.chunks(n_outputs * n_rows).enumerate().map(|(i, member)| {
        let values = OwnedBlocks::F32(member.chunks(n_rows).map(<[f32]>::to_vec).collect());
        let model = ModelId::new(&format!("model_{i}"))?;
        let (encoding, print) = (Encoding::plain(OutputKind::Probability), Fingerprint::of(&[i as u8]));
        let set = RowSet::all(n_rows);
        Ok(Predictions::<Oof>::new(model, rows.clone(), columns.clone(), encoding, Arc::new(values), print, &set)?)
    });
    let matrix = PredictionMatrix::new(members.collect::<Result<Vec<_>, Box<dyn Error>>>()?)?;
    let set = RowSet::all(n_rows);
    type Method = fn(&PredictionMatrix<Oof>, &RowSet) -> Correlations;
    let methods: [(&str, Method); 3] = [("pearson", pearson), ("spearman", spearman), ("kendall", kendall)];
    for (name, method) in methods {
        // The clock has a tick of 10 ms, so what is fast is done until it can be measured.
        let (start, mut runs) = (cpu()?, 0);
        let mean = loop {
            let it = method(&matrix, &set);
            runs += 1;
            if cpu()? - start > 1.0 {
                break it.mean().unwrap_or(f64::NAN);
            }
        };
        println!(r#"{{"method": "{name}", "cpu": {}, "mean": {mean}}}"#, (cpu()? - start) / f64::from(runs));
    }
    Ok(())
}
