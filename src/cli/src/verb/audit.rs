//! `blend audit`: scores of every model, and everything that is wrong with a file.

use crate::{
    args::{Arguments, Audit},
    audit::AuditReport,
    context::Context,
    failure::Failure,
    outputs,
    report::{self, Screen},
};

pub(crate) fn run(arguments: &Arguments, it: &Audit, screen: &Screen) -> Result<bool, Failure> {
    let context = Context::open(arguments)?;
    let models = outputs::chosen(&context, &it.models, |_| true)?;
    if models.is_empty() {
        return Err(Failure::usage(format!("`{}` has no models yet", context.competition.id))
            .at(context.show(&context.workspace.competition_folder(&context.competition.id)))
            .hint("`blend predict` or `blend import MODEL --oof FILE`"));
    }
    let audited = AuditReport::gather(&context, &models, &it.allow)?;
    context.refuse_fault()?;
    report::audit::print(screen, &audited, it)?;
    if let Some(path) = &it.html {
        let page = super::report::page(&context, &audited, &super::report::Files::default())?;
        let written = super::report::write(path, &page)?;
        screen.line(format!("wrote {}", context.show(&written)));
    }
    screen.object(report::audit::object(&audited));
    Ok(audited.faults() > 0)
}
