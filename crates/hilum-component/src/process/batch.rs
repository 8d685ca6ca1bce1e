//! A payload of several messages: each is processed as a child of the whole.

use hilum_message::Payload;

use super::{Finding, Incoming, ProcessEnvironment, Processed, Reason, answer, one};
use crate::{ChannelPlan, DocumentProblem, Severity, Verdict};

/// Processes each message of a batch as a child; the answer is that of the worst of them.
pub(super) fn batch(
    plan: &ChannelPlan,
    environment: &mut ProcessEnvironment<'_>,
    incoming: Incoming,
    ranges: &[std::ops::Range<usize>],
    problems: Vec<DocumentProblem>,
) -> Processed {
    let mut parent = Processed::new(&incoming);
    parent.findings.extend(
        problems
            .into_iter()
            .map(|problem| Finding::of_problem("batch", problem)),
    );
    for (ordinal, range) in ranges.iter().enumerate() {
        let child = Incoming {
            id: incoming.id.derive("batch", ordinal as u64),
            payload: slice(&incoming.payload, range.clone()),
            ..incoming.clone()
        };
        parent.children.push(one(plan, environment, child));
    }
    let worst = parent
        .children
        .iter()
        .find(|child| !child.disposition.is_positive());
    let reason = worst
        .and_then(|child| child.reason.clone())
        .map(|reason| Reason {
            text: format!("a message of the batch was not accepted: {}", reason.text),
            ..reason
        });
    if let Some(reason) = &reason {
        parent.findings.push(Finding {
            step: "batch".to_owned(),
            code: reason.code.clone(),
            path: reason.path.clone(),
            severity: Severity::Error,
            text: reason.text.clone(),
        });
    }
    let verdict = reason.as_ref().map_or(Verdict::Accept, Reason::as_error);
    parent.answer = answer(plan, &incoming, verdict, false);
    parent
}

/// The part of a payload that lies in a range of its text, with the cuts inside.
fn slice(payload: &Payload, range: std::ops::Range<usize>) -> Payload {
    let text = payload.text();
    let range = range.start.min(text.len())..range.end.min(text.len());
    let cuts = payload
        .cuts()
        .iter()
        .filter(|cut| cut.at > range.start && cut.at <= range.end);
    let cuts = cuts.map(|cut| hilum_message::Cut {
        at: cut.at - range.start,
        range: cut.range.clone(),
    });
    Payload::with_cuts(text.slice(range.clone()), cuts.collect())
}
