//! `events:` of a `model.yaml`: pulses, geometry and how an event becomes tensors.

use crate::{
    error::DocumentError,
    workspace::Workspace,
    yaml::{
        At, Doc,
        write::{self, Page},
    },
};
use blend_core::{
    Frame, OutputKind,
    manifest::{
        COMPATIBILITIES, Compatibility, EVENT_TENSORS, EventTensor, EventsSpec, InputSpec, PULSE_FEATURES, PulseFiles,
    },
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Pulses that an event keeps where the manifest does not say.
const DEFAULT_MAX_PULSES: usize = 192;

pub(super) const FORM: &str = "`events: {hits: {train: {pulses: [batch_1.parquet], meta: [meta_1.parquet]}, \
    test: {pulses: [test.parquet]}, geometry: sensor_geometry.csv, ice: ice.csv, max_pulses: 192, seed: 0}}`, \
    `compatibility: icecube-2nd-place` for graphs trained with it";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsRaw {
    train: Option<At<PulsesRaw>>,
    test: Option<At<PulsesRaw>>,
    geometry: At<String>,
    ice: Option<At<String>>,
    max_pulses: Option<At<usize>>,
    #[serde(default)]
    seed: u64,
    compatibility: Option<At<String>>,
    token_budget: Option<At<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PulsesRaw {
    pulses: Vec<At<String>>,
    #[serde(default)]
    meta: Vec<At<String>>,
}

/// The frame where none is written: graphs of IceCube's second place give theirs.
pub(super) fn default_frame(kind: OutputKind, events: &BTreeMap<String, At<EventsRaw>>) -> Frame {
    let known = |name: &str| COMPATIBILITIES.iter().find(|(known, _)| *known == name).map(|(_, it)| *it);
    let named = |raw: &At<EventsRaw>| raw.value.compatibility.as_ref().and_then(|at| known(&at.value));
    usual_frame(kind, events.values().filter_map(named))
}

/// As [`default_frame`], of events that were checked.
pub(super) fn usual_frame(kind: OutputKind, mut compatibilities: impl Iterator<Item = Compatibility>) -> Frame {
    let swapped = compatibilities.any(|it| it == Compatibility::IceCubeSecondPlace);
    if kind == OutputKind::Vector && swapped { Frame::Yxz } else { Frame::Xyz }
}

pub(super) fn check(doc: &Doc<'_>, name: &str, raw: &At<EventsRaw>) -> Result<EventsSpec, DocumentError> {
    let it = &raw.value;
    if it.train.is_none() && it.test.is_none() {
        return Err(doc.fault(raw.referenced, format!("events `{name}` have neither `train` nor `test`")));
    }
    let positive = |key: &str, at: &Option<At<usize>>| match at {
        Some(at) if at.value == 0 => Err(doc.fault(at.referenced, format!("`{key}` is 0"))),
        at => Ok(at.as_ref().map(|at| at.value)),
    };
    let compatibility = it.compatibility.as_ref().map(|at| doc.choice("compatibility", at, &COMPATIBILITIES));
    Ok(EventsSpec {
        train: it.train.as_ref().map(|files| check_files(doc, files)).transpose()?,
        test: it.test.as_ref().map(|files| check_files(doc, files)).transpose()?,
        geometry: doc.path(&it.geometry)?,
        ice: it.ice.as_ref().map(|path| doc.path(path)).transpose()?,
        max_pulses: positive("max_pulses", &it.max_pulses)?.unwrap_or(DEFAULT_MAX_PULSES),
        seed: it.seed,
        compatibility: compatibility.transpose()?.unwrap_or_default(),
        token_budget: positive("token_budget", &it.token_budget)?,
    })
}

fn check_files(doc: &Doc<'_>, raw: &At<PulsesRaw>) -> Result<PulseFiles, DocumentError> {
    let paths = |texts: &[At<String>]| texts.iter().map(|text| doc.path(text)).collect::<Result<Vec<PathBuf>, _>>();
    let (pulses, meta) = (paths(&raw.value.pulses)?, paths(&raw.value.meta)?);
    if pulses.is_empty() {
        return Err(doc.fault(raw.referenced, "`pulses` is an empty list"));
    }
    if !meta.is_empty() && meta.len() != pulses.len() {
        let message = format!("{} files of `meta` for {} of `pulses`", meta.len(), pulses.len());
        return Err(doc.fault(raw.referenced, message));
    }
    Ok(PulseFiles { pulses, meta })
}

pub(super) fn check_input(
    doc: &Doc<'_>,
    input: &str,
    place: serde_yaml::Location,
    events: &At<String>,
    spec: &EventsSpec,
    tensor: Option<&At<String>>,
    features: Option<&At<Vec<At<String>>>>,
) -> Result<InputSpec, DocumentError> {
    let names = EVENT_TENSORS.map(|(name, _)| (name, name));
    let tensor = match (tensor, features) {
        (Some(name), None) => doc.choice("tensor", name, &names)?.parse().unwrap_or(EventTensor::Mask),
        (None, Some(list)) if !list.value.is_empty() => {
            let features = list.value.iter().map(|name| doc.choice("feature", name, &PULSE_FEATURES));
            EventTensor::Features(features.collect::<Result<_, _>>()?)
        }
        // The graph's own name for it, where that is one of the known ones.
        (None, None) => input.parse().map_err(|()| {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            let message =
                format!("input `{input}` of events says neither `tensor` ({}) nor `features`", known.join(", "));
            doc.fault(place, message)
        })?,
        _ => return Err(doc.fault(place, format!("input `{input}` of events wants `tensor` or a list of `features`"))),
    };
    if tensor.needs_ice() && spec.ice.is_none() {
        return Err(doc.fault(place, format!("input `{input}` needs `ice` of events `{}`", events.value)));
    }
    Ok(InputSpec::Events { events: events.value.clone(), tensor })
}

pub(super) fn write(page: &mut Page, workspace: &Workspace, folder: &Path, events: &BTreeMap<String, EventsSpec>) {
    if events.is_empty() {
        return;
    }
    let path = |path: &PathBuf| write::text(&workspace.written(folder, path));
    let files = |files: &PulseFiles| {
        let meta = (!files.meta.is_empty()).then(|| write::list(files.meta.iter().map(path)));
        write::map([("pulses", Some(write::list(files.pulses.iter().map(path)))), ("meta", meta)])
    };
    let compatibility = |it: Compatibility| {
        COMPATIBILITIES.iter().find(|(_, known)| *known == it && it != Compatibility::None).map(|(name, _)| *name)
    };
    let lines = events.iter().map(|(name, it)| {
        let value = write::map([
            ("train", it.train.as_ref().map(files)),
            ("test", it.test.as_ref().map(files)),
            ("geometry", Some(path(&it.geometry))),
            ("ice", it.ice.as_ref().map(path)),
            ("max_pulses", Some(it.max_pulses.to_string())),
            ("seed", Some(it.seed.to_string())),
            ("compatibility", compatibility(it.compatibility).map(write::text)),
            ("token_budget", it.token_budget.map(|it| it.to_string())),
        ]);
        (name.clone(), value)
    });
    page.block("events", lines);
}

pub(super) fn write_input(events: &str, tensor: &EventTensor) -> String {
    let features = match tensor {
        EventTensor::Features(features) => {
            let name = |it| PULSE_FEATURES.iter().find(|(_, known)| known == it).map_or("", |(name, _)| name);
            Some(write::list(features.iter().map(|it| write::text(name(it)))))
        }
        _ => None,
    };
    write::map([
        ("events", Some(write::text(events))),
        ("tensor", tensor.name().map(write::text)),
        ("features", features),
    ])
}
