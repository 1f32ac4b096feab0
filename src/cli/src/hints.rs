//! Next steps for what goes wrong between a manifest and its predictions.

use blend_infer::{InferError, Kind, RuntimeError, error::EngineError, scan::ScanError};

/// What to do about a failed prediction; who runs it knows what to do about one that was cut short.
pub(crate) fn infer(error: &InferError) -> Option<String> {
    let plain = match error {
        _ if matches!(error.kind(), Kind::Interrupted | Kind::Temporary) => return None,
        InferError::Interrupted | InferError::Lost { .. } => return None,
        InferError::Runtime(error) => runtime(error),
        InferError::Engine { source, .. } => engine(source),
        InferError::Scan { source, .. } => scan(source),
        InferError::MissingGraph { next, .. } => next,
        InferError::OtherFolds { .. } => {
            "bring back the map that the graphs were trained with; with another one rows would be predicted by graphs that saw them"
        }
        InferError::NoStages { .. } => {
            "describe its graphs with `stages:`, or store finished outputs with `blend import`"
        }
        InferError::NothingAsked => "ask for `--split oof`, `--split test` or both",
        InferError::Pattern { .. } | InferError::Leakage { .. } => {
            "write one file per fold and seed, as `graphs: \"seed{seed}_fold{fold}.onnx\"`"
        }
        InferError::NoFoldMap { .. } => "name the map: `folds: {file: F, column: C}` in model.yaml or competition.yaml",
        InferError::NotHeldOut { .. } => {
            "give the row a fold in the map, or leave it out of the score with `scope:` in competition.yaml"
        }
        InferError::HeldOutTwice { .. } => {
            "every seed stands once under `seeds:`, and every row in one fold of its map"
        }
        InferError::UnknownStage { .. } => "a stage is fed by stages that stand above it in its model.yaml",
        InferError::TwoEvents { .. } => {
            "split the stage: one stage for each of the `events`, their outputs fed to a third"
        }
        InferError::NoTable { .. } => "give the table `train:` (for OOF) and `test:` files in its model.yaml",
        InferError::NoRows { .. } => "name `truth:` (for OOF) and `sample_submission:` (for test) in competition.yaml",
        InferError::NoColumn { column, known, .. } => {
            return Some(correct("columns", column, known));
        }
        InferError::UnknownInput { input, known, .. } => {
            return Some(correct("inputs", input, known));
        }
        InferError::UnfedInput { .. } => "add it under `inputs:` of its stage in model.yaml",
        InferError::InputMismatch { given, .. } if given.contains("type text") => {
            "a cell of it is no number: correct the table, or choose other columns with `columns:`"
        }
        InferError::InputMismatch { given, .. } if given.contains("max_pulses") => {
            "lower `max_pulses:` of the events in its model.yaml"
        }
        InferError::InputMismatch { .. } => {
            "choose as many columns as it wants: `columns:` of the table or of the input"
        }
        InferError::NoOutput { .. } | InferError::OutputShape { .. } => {
            "name the right one with `output:` on the stage in model.yaml, or check the export"
        }
        InferError::Alignment { .. } => "the table needs one row for each id of the truth (OOF) or the sample (test)",
        InferError::Read { .. } | InferError::Value { .. } => "correct the table where it was made",
        InferError::Pulse { .. } => "correct the event's pulses where they were made, or leave the event out",
        InferError::NotFinite { .. } => "look at that row's inputs: missing values have to be filled in beforehand",
        InferError::NoProbability { .. } => "say what the graph emits with `output:` in its model.yaml",
        InferError::Io { .. } => "check that it is a file that this user may read",
        InferError::Changed { .. } => "run it again when the graph is no longer being written",
        InferError::Partial { .. } | InferError::Scratch { .. } => {
            "make room there, or let this user write: sums that are too large for memory lie beside the model"
        }
        InferError::Remote { .. } => "without `--executor` it runs in this process and says more",
        InferError::Bug(_) => "please report it, with the command and what `-vv` prints",
    };
    Some(plain.to_owned())
}

/// A name in `key` of a manifest that is none of those `known`.
fn correct(key: &str, name: &str, known: &[String]) -> String {
    match blend_record::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? Correct `{key}:` in its model.yaml"),
        None => format!("correct `{key}:` in its model.yaml"),
    }
}

/// What to do about a graph that an engine does not run.
pub(crate) fn engine(error: &EngineError) -> &'static str {
    match error {
        EngineError::Unsupported { .. } => "fetch ONNX Runtime with `blend runtime install`",
        EngineError::Load { .. } => "export the graph again; other graphs of the model tell whether all are affected",
        EngineError::Device { .. } => "`--device cpu` runs it on the processor",
        EngineError::Run { .. } | EngineError::Panicked { .. } => {
            "`-vv` shows the engine's own log; another `--engine` may say more"
        }
    }
}

fn scan(error: &ScanError) -> &'static str {
    match error {
        ScanError::Domain { .. } => "list the domain under `allowed_domains:` of its model.yaml if you trust it",
        ScanError::External { .. } | ScanError::ExternalMissing { .. } => {
            "put the graph's data beside the graph, as plain files, or export the graph with its data inside"
        }
        _ => "copy the graph again or export it again; nothing of it was run",
    }
}

/// What to do about an engine or a device that cannot be had.
pub(crate) fn runtime(error: &RuntimeError) -> &'static str {
    match error {
        RuntimeError::Named { .. } => {
            "name another library, or none: then the places that `blend doctor` lists are searched"
        }
        RuntimeError::NotFound { .. } => "fetch it with `blend runtime install`",
        RuntimeError::Device { .. } => {
            "see `blend doctor`; `blend runtime install --gpu` fetches the CUDA build, `--device auto` may use the CPU"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_in_another_process_is_told_like_the_rest() {
        let remote = |exit| InferError::Remote { model: "m".into(), graph: "g".into(), message: "x".into(), exit };
        assert!(infer(&remote(3)).is_some_and(|hint| hint.contains("--executor")));
        // Who runs it says how to go on.
        assert_eq!(infer(&remote(75)), None);
        assert_eq!(infer(&InferError::Interrupted), None);
        let pulses = |given: &str| InferError::InputMismatch {
            model: "m".into(),
            graph: "g".into(),
            input: "x".into(),
            expected: "f32 (?, 24)".into(),
            given: given.into(),
        };
        assert!(infer(&pulses("events of 40 pulses: `max_pulses` is above the graph's 24")).unwrap().contains("lower"));
        assert!(infer(&pulses("7 columns")).unwrap().contains("columns"));
    }
}
