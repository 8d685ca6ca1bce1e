//! The application answer of enhanced mode: a delivery of its own (HL7 v2.5.1 §2.9.3.2).
//!
//! The sender has its commit answer on the connection. What became of the message goes to the
//! destinations that send application answers, in the commit of the message, and is retried and
//! recorded like every delivery.

use hilum_message::{IndexKey, OrderKey, Payload};

use super::{Disposition, Finding, PlannedDelivery, Processed};
use crate::{AfterReject, AnswerMode, ChannelPlan, Sends, Severity};

/// Plans the delivery of the application answer, if the sender wants one. A message that is held
/// is answered when it has gone on.
pub(super) fn plan(plan: &ChannelPlan, index: &IndexKey, processed: &mut Processed) {
    let AnswerMode::Enhanced {
        application_on_success,
        application_on_error,
        ..
    } = processed.answer_mode
    else {
        return;
    };
    let wanted = match processed.disposition {
        Disposition::Accepted | Disposition::Filtered => application_on_success,
        Disposition::Refused | Disposition::Rejected | Disposition::Failed => application_on_error,
        Disposition::Held => false,
    };
    let Some(answer) = processed.answer.as_ref().filter(|_| wanted) else {
        return;
    };
    let ways = plan.destinations.iter();
    let mut ways = ways
        .filter(|destination| destination.sends == Sends::ApplicationAnswer)
        .peekable();
    if ways.peek().is_none() {
        processed.findings.push(Finding {
            step: "answer".to_owned(),
            code: "no-application-answer".to_owned(),
            path: None,
            severity: Severity::Warning,
            text: "the sender wants an application answer, and no destination sends it".to_owned(),
        });
    }
    for destination in ways {
        processed.deliveries.push(PlannedDelivery {
            destination: destination.name.clone(),
            payload: Payload::inline(answer.for_record().clone()),
            metadata: processed.metadata.clone(),
            keys: vec![OrderKey::common(index, &plan.name)],
            priority: 0,
            after_reject: destination.after_reject.unwrap_or(AfterReject::Continue),
            dead_letter: None,
            critical: None,
        });
    }
}
