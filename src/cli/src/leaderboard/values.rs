//! Values as they are submitted, in the order of the sample.

use crate::{
    context::{Context, file_fingerprint},
    failure::Failure,
    outputs,
    verb::submit,
};
use blend_core::{
    Block, ModelId, Predictions, RowIndex, RowSet, TableSource, Test, leaderboard,
    metric::Target,
    post::{self, PostStep},
    truth::{angles, direction},
};
use blend_record::{Mark, Recipe, Sample};
use std::{path::Path, sync::Arc};

/// The test rows and the outputs that predictions of them have.
pub(crate) struct TestRows {
    pub(crate) rows: RowIndex,
    pub(crate) names: Arc<[String]>,
    pub(crate) sample: Option<Sample>,
}

impl TestRows {
    /// Those of the sample submission; without one, those of the first model that has test outputs.
    pub(crate) fn of(context: &Context) -> Result<Self, Failure> {
        let id = &context.competition.id;
        if let Some(sample) = context.sample()? {
            let names = submit::names(context, &sample)?;
            return Ok(Self { rows: sample.rows().clone(), names, sample: Some(sample) });
        }
        let models = context.workspace.models(id)?;
        let Some(first) = models.iter().find(|model| outputs::file::<Test>(context, model).exists()) else {
            return Err(Failure::usage(format!("competition `{id}` has neither a sample submission nor test outputs"))
                .at(context.show(&context.competition.file))
                .hint("add `sample_submission: FILE`, or store test outputs with `blend import MODEL --test FILE`"));
        };
        let stored = outputs::open::<Test>(context, first)?.outputs;
        Ok(Self { rows: stored.rows.clone(), names: stored.columns.clone().into(), sample: None })
    }

    /// Fingerprint of submitted values.
    pub(crate) fn content(&self, values: &Block) -> blend_core::Fingerprint {
        leaderboard::content(&self.rows, values)
    }
}

/// What the file of a direction says: the angles, as a unit vector.
pub(super) fn as_submitted(context: &Context, values: &mut Block) {
    if context.metric.info().target == Target::Direction && values.n_outputs() == 3 {
        for row in 0..values.n_rows() {
            let (azimuth, zenith) = angles([values.get(0, row), values.get(1, row), values.get(2, row)]);
            direction(azimuth, zenith).into_iter().enumerate().for_each(|(i, x)| values.set(i, row, x));
        }
    }
}

/// The competition's own post steps, and `more` after them.
pub(crate) fn post_steps(
    context: &Context,
    more: &[PostStep],
    rows: &RowIndex,
    values: &mut Block,
    mut read: impl FnMut(&Path) -> Result<(), Failure>,
) -> Result<Vec<PostStep>, Failure> {
    let steps: Vec<PostStep> = context.competition.post.iter().chain(more).cloned().collect();
    for step in &steps {
        step.check().map_err(|error| Failure::usage(error.to_string()).at(context.competition.file.display()))?;
        if let Some(wanted) = step.outputs().filter(|wanted| *wanted != values.n_outputs()) {
            let what = format!("{} of {wanted} outputs meet {}", step.info().name, values.n_outputs());
            return Err(Failure::usage(what)
                .at(context.show(&context.competition.file))
                .hint("one scale for all outputs, or one for each: search again, or correct `post:`"));
        }
        let marked = match step {
            PostStep::ZeroRows { file, column, equals } => {
                read(file)?;
                let mark = Mark { file: file.clone(), column: column.clone(), equals: equals.clone() };
                Some(context.marked(&mark, rows, "`post`")?)
            }
            _ => None,
        };
        post::apply(step, values, marked.as_deref());
    }
    Ok(steps)
}

/// A model's test outputs as a submission of them alone would hold them.
pub(crate) fn of_model(context: &Context, test: &TestRows, model: &ModelId) -> Result<Block, Failure> {
    let matrix = outputs::test_matrix(context, &test.rows, std::slice::from_ref(model), &test.names)?;
    of_predictions(context, test, &matrix.members()[0])
}

/// As [`of_model`], of outputs that are open already.
pub(crate) fn of_predictions(
    context: &Context,
    test: &TestRows,
    predictions: &Predictions<Test>,
) -> Result<Block, Failure> {
    let set = RowSet::all(test.rows.len());
    let mut values = Block::new(test.names.len(), set.len());
    let mut part = Block::default();
    for block in 0..set.n_blocks() {
        predictions.read_natural(block, set.block(block), &mut part);
        values.put(set.offset(block), &part);
    }
    post_steps(context, &[], &test.rows, &mut values, |_| Ok(()))?;
    as_submitted(context, &mut values);
    Ok(values)
}

/// What `submit` writes of a recipe.
pub(crate) fn of_recipe(context: &Context, test: &TestRows, recipe: &Recipe) -> Result<Block, Failure> {
    let Some(sample) = &test.sample else {
        return Err(Failure::usage(format!("competition `{}` names no sample submission", context.competition.id))
            .at(context.show(&context.competition.file))
            .hint("add `sample_submission: FILE`: ids, order and header of a blend's submission come from it"));
    };
    let mut values = submit::make(context, recipe, sample)?.natural;
    as_submitted(context, &mut values);
    Ok(values)
}

/// The values of a submission file.
pub(crate) fn of_file(context: &Context, test: &TestRows, path: &Path) -> Result<Block, Failure> {
    let table = context.read(path, "the command line", &[])?;
    let place = context.show(path);
    let order = test.rows.align(table.rows()).map_err(|error| {
        Failure::data("the file's ids are not those of the sample submission")
            .at(&place)
            .details(error)
            .hint("a scored file has every test row, once")
    })?;
    let column = |name: &str| -> Result<Vec<f64>, Failure> {
        let values = table.numbers(name).map_err(|error| Failure::from(error).at(&place))?;
        let values: Vec<f64> = match &order {
            None => values,
            Some(order) => order.iter().map(|&row| values[row as usize]).collect(),
        };
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(row) => Err(Failure::data(format!("`{name}` of row `{}` is {}", test.rows.id(row), values[row]))
                .at(&place)
                .hint("a scored file has a number in every cell")),
        }
    };
    if let Some(decode) = &context.competition.decode {
        let (azimuth, zenith) = (column(&decode.azimuth)?, column(&decode.zenith)?);
        let mut values = Block::new(3, test.rows.len());
        for (row, (&azimuth, &zenith)) in azimuth.iter().zip(&zenith).enumerate() {
            direction(azimuth, zenith).into_iter().enumerate().for_each(|(i, x)| values.set(i, row, x));
        }
        return Ok(values);
    }
    let own = table.names();
    // A file of one output may call it as it likes.
    let names: Vec<&str> = match (&own[..], &test.names[..]) {
        ([only], [name]) if only != name => vec![only],
        _ => test.names.iter().map(String::as_str).collect(),
    };
    let columns = names.into_iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(Block::from_columns(&columns))
}

/// Whether a file still has the bytes that were recorded.
pub(crate) fn is_unchanged(path: &Path, recorded: blend_core::Fingerprint) -> bool {
    path.is_file() && file_fingerprint(path).is_ok_and(|found| found == recorded)
}
