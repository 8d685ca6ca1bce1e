//! Running a list of steps over a message.

use hilum_fhirpath::{Env, Moment};
use hilum_message::Metadata;

use super::{Beside, Finding, Hold, Reason, Released, ReleasedBy};
use crate::step::Changes;
use crate::{
    ChannelPlan, Document, Flow, Halted, Meter, StateView, StepContext, StepPlan, TraceLine,
    Unlimited, Working,
};

/// Messages that one message may become, all splits taken together.
pub const SPLIT_MAX: usize = 100_000;

/// Applies one step of a channel to a message that is on no way, with no state and no budget: what checks ask
/// of a step.
///
/// # Errors
/// Why the step does not let the message go on.
pub fn apply_alone(
    plan: &ChannelPlan,
    step: &StepPlan,
    arrived_ms: u64,
    message: &mut Working,
) -> Result<Flow, Halted> {
    let moment = Moment::from_unix_millis(arrived_ms.cast_signed(), 0);
    let mut runner = Runner {
        plan,
        env: &Env::new(moment),
        original: None,
        arrived_ms,
        meter: &Unlimited,
        state: &(),
        changes: &mut Changes::default(),
        findings: &mut Vec::new(),
        trace: None,
    };
    runner.apply(step, &step.name, false, message)
}

/// What became of a message in a list of steps.
pub(super) enum Ran {
    /// These came out.
    Through(Vec<Working>),
    /// It ended.
    Filtered(Reason),
    /// It is at fault.
    Rejected(Reason),
    /// It waits.
    Held(Reason, Hold),
}

/// What the steps of one message share.
pub(super) struct Runner<'r, 'e> {
    pub(super) plan: &'r ChannelPlan,
    pub(super) env: &'r Env<'e>,
    pub(super) original: Option<&'r dyn Document>,
    pub(super) arrived_ms: u64,
    pub(super) meter: &'r dyn Meter,
    pub(super) state: &'r dyn StateView,
    pub(super) changes: &'r mut Changes,
    pub(super) findings: &'r mut Vec<Finding>,
    pub(super) trace: Option<&'r mut Vec<TraceLine>>,
}

impl Runner<'_, '_> {
    /// Evaluates something with what stands beside a message.
    pub(super) fn with_env<T>(
        &self,
        metadata: &Metadata,
        evaluate: impl FnOnce(&Env<'_>) -> T,
    ) -> T {
        let beside = Beside::new(self.original, metadata);
        evaluate(&self.env.with_variables(&beside))
    }

    /// Runs `steps`; `prefix` stands before step names (a destination's name).
    pub(super) fn steps(
        &mut self,
        steps: &[StepPlan],
        prefix: &str,
        released: Option<Released>,
        message: Working,
    ) -> Ran {
        let mut current = vec![message];
        let mut filtered = None;
        for (place, plan) in steps.iter().enumerate() {
            let name = if prefix.is_empty() {
                plan.name.to_string()
            } else {
                format!("{prefix}/{}", plan.name)
            };
            let mut next = Vec::with_capacity(current.len());
            // The holds of this step are over, whatever it says.
            let over = released.is_some_and(|released| {
                released.step > place
                    || (released.step == place && released.by == ReleasedBy::Decision)
            });
            for mut message in current {
                match self.apply(plan, &name, over, &mut message) {
                    Ok(Flow::Next) => next.push(message),
                    Err(Halted::Hold { .. }) if over => next.push(message),
                    Ok(Flow::Filtered(text)) => {
                        filtered = Some(Reason::new(&name, "filtered", None, text));
                    }
                    Ok(Flow::Split(messages)) => next.extend(messages),
                    Err(halted) => return Self::halted(&name, place, halted),
                }
            }
            if next.len() > SPLIT_MAX {
                let text = format!("a message may become at most {SPLIT_MAX} messages");
                return Ran::Rejected(Reason::new(&name, "split-max", None, text));
            }
            if next.is_empty() {
                let reason = filtered.unwrap_or_else(|| {
                    Reason::new(&name, "filtered", None, "split into no message".to_owned())
                });
                return Ran::Filtered(reason);
            }
            current = next;
        }
        Ran::Through(current)
    }

    fn apply(
        &mut self,
        plan: &StepPlan,
        name: &str,
        released: bool,
        message: &mut Working,
    ) -> Result<Flow, Halted> {
        let beside = Beside::new(self.original, &message.metadata);
        let env = self.env.with_variables(&beside);
        let mut context = StepContext {
            channel: &self.plan.name,
            arrived_ms: self.arrived_ms,
            env: &env,
            released,
            original: self.original,
            findings: self.findings,
            trace: self.trace.as_deref_mut(),
            step: name,
            meter: self.meter,
            state: self.state,
            changes: self.changes,
            apart: None,
        };
        context.spend()?;
        plan.step.apply(message, &mut context)
    }

    fn halted(name: &str, place: usize, halted: Halted) -> Ran {
        match halted {
            Halted::Reject { code, path, text } => {
                Ran::Rejected(Reason::new(name, &code, path, text))
            }
            Halted::Hold {
                reason,
                until_ms,
                wake,
            } => Ran::Held(
                Reason::new(name, "held", None, reason),
                Hold {
                    step: place,
                    until_ms,
                    wake,
                },
            ),
            Halted::Budget => Ran::Rejected(Reason::new(
                name,
                "step-budget",
                None,
                "the steps took longer than step-budget allows".to_owned(),
            )),
        }
    }
}
