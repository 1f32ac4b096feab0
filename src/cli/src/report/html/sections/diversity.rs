//! What averaging gains: the members' mean less what they differ is the blend.

use super::{
    super::{
        charts::{
            rows::{Row, rows},
            strip::Mark,
        },
        facts::{Diversity, Facts, MemberShare},
        scale::Scale,
        text::score,
    },
    absent, figure,
};

pub(super) fn section(facts: &Facts, out: &mut String) {
    let it = match &facts.diversity {
        Ok(it) => it,
        Err(why) => return absent(out, why),
    };
    let exact = it.members.iter().all(|member| member.share.is_some());
    let bars = |member: &MemberShare| if exact { [member.diversity, member.share] } else { [None, Some(member.score)] };
    let ends = it.members.iter().flat_map(bars).flatten();
    let Some(scale) = Scale::from_zero(ends) else { return absent(out, "There is no member to compare.") };
    let mut order: Vec<&MemberShare> = it.members.iter().collect();
    // The best first; squared errors, which stand for metrics made of them, are better the lower they are.
    let higher = facts.metric.higher_is_better && it.metric == facts.metric.label;
    let key = |member: &MemberShare| if higher { -member.score } else { member.score };
    order.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.model.cmp(&b.model)));
    let lines: Vec<Row> = order.iter().map(|member| line(member)).collect();
    let titles = ["", if exact { "share of the blend's score" } else { "score alone" }, ""];
    figure(out, &rows(scale, titles, &lines), &sentence(it, exact));
}

fn line(member: &MemberShare) -> Row {
    let mut marks = vec![Mark::Bar { value: member.share.unwrap_or(member.score), class: "" }];
    marks.extend(member.diversity.map(|value| Mark::Tick { value, class: "hi" }));
    let value = match member.diversity {
        Some(diversity) => format!("{} \u{2212} {}", score(member.score), score(diversity)),
        None => score(member.score),
    };
    Row { label: member.model.clone(), is_lead: false, marks, value }
}

fn sentence(it: &Diversity, exact: bool) -> String {
    let (space, metric) = (&it.space, &it.metric);
    let sum = format!(
        "Equal weights in space `{space}`, {metric}: mean member {}, blend {}, better by {}.",
        score(it.mean_member),
        score(it.blend),
        score(it.gain)
    );
    if exact {
        format!(
            "{sum} In this space the sum is exact: each member's share is its weight times its own score less its diversity \
             (the two numbers), and the shares (bars from zero) sum to the blend's score. The strong mark is the diversity: \
             how far a member is from the blend. A member with a worse score and more diversity may be worth as much."
        )
    } else {
        format!(
            "{sum} For this metric and space no share belongs to a member alone: bars from zero are the members' own scores."
        )
    }
}
