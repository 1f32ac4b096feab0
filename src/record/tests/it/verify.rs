use super::*;
use blend_core::{Blend, Domain, Member, space::SpaceName};
use blend_record::{Link, LinkKind, LinkState, Provenance, Recipe, RunKind, RunRecord, Verifier};

/// A stored output is fingerprinted by its content, here by a prefix, to tell it from its bytes.
fn output(path: &Path) -> Option<Fingerprint> {
    std::fs::read_to_string(path).ok().map(|text| print(&format!("values {text}")))
}

/// A submission of two models, one predicted and one imported, with everything recorded as it is.
fn chain(workspace: &Workspace) {
    let file = |path: &Path, text: &str| {
        put(path, text);
        print(text)
    };
    let data = workspace.root().join("models/moa/data/train.csv");
    let members = ["nn", "tabnet"].map(|name| {
        let (competition, model) = (moa(), model(name));
        let mut run = RunRecord::new(model.clone(), if name == "nn" { RunKind::Predict } else { RunKind::Import });
        run.manifest = Some(file(&workspace.manifest_file(&competition, &model), name));
        file(&workspace.oof_file(&competition, &model), &format!("{name} oof"));
        file(&workspace.test_file(&competition, &model), &format!("{name} test"));
        run.oof = output(&workspace.oof_file(&competition, &model));
        run.test = output(&workspace.test_file(&competition, &model));
        if name == "nn" {
            let graph = workspace.model_folder(&competition, &model).join("fold0.onnx");
            run.graphs.insert(graph.clone(), file(&graph, "graph"));
            run.data.insert(data.clone(), file(&data, "train"));
        } else {
            run.data.insert(workspace.root().join("gone.csv"), print("gone"));
        }
        run.write(workspace, &competition).unwrap();
        Member { model, weight: 0.5, oof: run.oof, test: run.test }
    });
    let tests = members.iter().map(|member| (member.model.clone(), member.test.unwrap())).collect();
    let recipe = Blend::new(blend("b"), moa(), SpaceName::Linear, Domain::Simplex, members.into(), vec![]).unwrap();
    let recipe = Recipe { blend: recipe, search: None };
    recipe.write(workspace).unwrap();
    let sample = workspace.root().join("models/moa/data/sample.csv");
    let provenance = Provenance {
        submission: blend("b"),
        competition: moa(),
        csv: file(&workspace.submission_csv(&moa(), &blend("b")), "csv"),
        recipe: print(&recipe.to_yaml(workspace)),
        competition_file: file(&workspace.competition_file(&moa()), "competition"),
        sample: (sample.clone(), file(&sample, "sample")),
        members: tests,
        data: [(data.clone(), print("train"))].into(),
        post: vec![],
    };
    provenance.write(workspace).unwrap();
}

fn links(workspace: &Workspace) -> Vec<Link> {
    let competition = moa();
    let mut verifier = Verifier::new(workspace, &competition, output);
    verifier.submission(&blend("b")).unwrap();
    verifier.finish()
}

fn faults(workspace: &Workspace) -> Vec<(LinkKind, LinkState)> {
    links(workspace).iter().filter(|link| link.is_fault()).map(|link| (link.kind, link.state())).collect()
}

#[test]
fn an_unbroken_chain_has_no_fault() {
    let (_folder, workspace) = workspace();
    chain(&workspace);
    assert_eq!(faults(&workspace), []);
    let links = links(&workspace);
    let count = |kind| links.iter().filter(|link| link.kind == kind).count();
    assert_eq!(count(LinkKind::Test), 6, "provenance, recipe and run record each say it of two models");
    assert_eq!((count(LinkKind::Graph), count(LinkKind::Data), count(LinkKind::Source)), (1, 2, 1));
    let source = links.iter().find(|link| link.kind == LinkKind::Source).unwrap();
    assert_eq!((source.state(), source.is_fault()), (LinkState::Absent, false));
    assert!(links.iter().all(|link| !link.kind.name().is_empty()));
}

#[test]
fn every_broken_link_is_named() {
    let nn = model("nn");
    for (path, want) in [
        ("submissions/moa/b.csv", vec![LinkKind::Submission]),
        ("models/moa/competition.yaml", vec![LinkKind::Competition]),
        ("models/moa/data/sample.csv", vec![LinkKind::Sample]),
        ("models/moa/data/train.csv", vec![LinkKind::Data; 2]),
        ("models/moa/nn/test.feather", vec![LinkKind::Test; 3]),
        ("models/moa/nn/oof.feather", vec![LinkKind::Oof; 2]),
        ("models/moa/nn/model.yaml", vec![LinkKind::Manifest]),
        ("models/moa/nn/fold0.onnx", vec![LinkKind::Graph]),
        ("blends/moa/b.yaml", vec![LinkKind::Recipe]),
    ] {
        let (_folder, workspace) = workspace();
        chain(&workspace);
        put(&workspace.root().join(path), "changed");
        let differs: Vec<_> = want.iter().map(|kind| (*kind, LinkState::Differs)).collect();
        assert_eq!(faults(&workspace), differs, "{path}");
        std::fs::remove_file(workspace.root().join(path)).unwrap();
        let absent: Vec<_> = want.iter().map(|kind| (*kind, LinkState::Absent)).collect();
        assert_eq!(faults(&workspace), absent, "{path}");
    }
    let (_folder, workspace) = workspace();
    chain(&workspace);
    std::fs::remove_file(workspace.run_file(&moa(), &nn)).unwrap();
    assert_eq!(faults(&workspace), [(LinkKind::RunRecord, LinkState::Absent)]);
}

#[test]
fn stored_outputs_that_feed_another_model_are_known_by_values_and_by_bytes() {
    let (_folder, workspace) = workspace();
    chain(&workspace);
    let read = workspace.oof_file(&moa(), &model("tabnet"));
    let mut run = RunRecord::read(&workspace, &moa(), &model("nn")).unwrap();
    run.data.insert(read.clone(), print("tabnet oof"));
    run.write(&workspace, &moa()).unwrap();
    assert_eq!(faults(&workspace), []);
    put(&read, "changed");
    let broken = [(LinkKind::Data, LinkState::Differs), (LinkKind::Oof, LinkState::Differs)];
    assert!(broken.iter().all(|link| faults(&workspace).contains(link)), "{:?}", faults(&workspace));
}
