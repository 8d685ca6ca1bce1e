//! Building plans of lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use hilum_component::{
    Acknowledge, AfterReject, ChannelPlan, Destination, DestinationKind, DestinationPlan, Flow,
    Halted, Millis, Order, Plan, ResendPlan, RetryPlan, Rule, Sends, Size, SourceKind, SourcePlan,
    Step, StepContext, StepPlan, Working,
};
use hilum_message::PlanDigest;

use super::format::{Line, lines};
use super::peers::{Receiver, Sender};

/// A plan of channels.
pub(crate) fn plan(channels: impl IntoIterator<Item = ChannelPlan>) -> Plan {
    let channels: BTreeMap<_, _> = channels
        .into_iter()
        .map(|channel| (Arc::clone(&channel.name), Arc::new(channel)))
        .collect();
    Plan {
        digest: digest("site", 1),
        site: "st-elsewhere".to_owned(),
        channels,
        stop_within: Millis(300),
        admin: None,
        keep: None,
        disk_free_below: None,
        in_flight_max: Size(16_000_000),
    }
}

/// A digest of a name and a version.
pub(crate) fn digest(name: &str, version: u8) -> PlanDigest {
    let mut bytes = [version; 32];
    for (byte, of_name) in bytes.iter_mut().skip(1).zip(name.bytes()) {
        *byte = of_name;
    }
    PlanDigest(bytes)
}

/// A channel of lines, ordered by patient.
pub(crate) fn channel(name: &str, sender: &Sender) -> ChannelPlan {
    let sender = sender.clone();
    let source = SourceKind::Component(Arc::new(move || sender.make()));
    of_source(name, "scripted", source)
}

/// A channel that subscribes to a topic.
pub(crate) fn subscriber(name: &str, topic: &str) -> ChannelPlan {
    ChannelPlan {
        control_id_optional: true,
        ..of_source(name, "topic", SourceKind::Topic(topic.into()))
    }
}

/// A channel that gets the replies to lines.
pub(crate) fn replies(name: &str) -> ChannelPlan {
    ChannelPlan {
        control_id_optional: true,
        ..of_source(name, "reply", SourceKind::Reply(Some(lines())))
    }
}

fn of_source(name: &str, component: &str, kind: SourceKind) -> ChannelPlan {
    ChannelPlan {
        name: name.into(),
        about: None,
        owner: None,
        digest: digest(name, 1),
        source: SourcePlan {
            component: component.to_owned(),
            system: None,
            digest: digest("source", 1),
            kind,
        },
        format: lines(),
        acknowledge: Acknowledge::Processed,
        accept: None,
        order: Order::Rule(rule("patient")),
        index: Vec::new(),
        steps: Vec::new(),
        destinations: Vec::new(),
        resend: ResendPlan::default(),
        alerts: Vec::new(),
        step_budget: Millis(5_000),
        control_id_optional: false,
        marking: std::sync::Arc::default(),
        senders: std::sync::Arc::default(),
    }
}

/// An expression over a line.
pub(crate) fn rule(text: &str) -> Rule {
    Rule::compile(text, None).expect("an expression")
}

/// An expression over the reply to a line.
pub(crate) fn reply_rule(text: &str) -> Rule {
    Rule::of_reply(text, None, Some(&*lines())).expect("an expression")
}

/// Reads well: parts of a channel one after the other.
pub(crate) trait With: Sized {
    fn version(self, version: u8) -> Self;
    fn step(self, step: StepPlan) -> Self;
    fn to(self, destination: DestinationPlan) -> Self;
}

impl With for ChannelPlan {
    fn version(mut self, version: u8) -> Self {
        self.digest = digest(&self.name, version);
        self
    }

    fn step(mut self, step: StepPlan) -> Self {
        self.steps.push(step);
        self
    }

    fn to(mut self, destination: DestinationPlan) -> Self {
        self.destinations.push(destination);
        self
    }
}

/// A destination of the name `out` that retries after 1 ms.
pub(crate) fn out(receiver: &Receiver) -> DestinationPlan {
    destination("out", receiver)
}

/// A destination that retries after 1 ms.
pub(crate) fn destination(name: &str, receiver: &Receiver) -> DestinationPlan {
    let receiver = receiver.clone();
    let make = move || Arc::new(receiver.clone()) as Arc<dyn Destination>;
    of_kind(name, "recorded", DestinationKind::Component(Arc::new(make)))
}

/// A destination that is gone; what waits for it is still delivered.
pub(crate) fn drained(name: &str, receiver: &Receiver) -> DestinationPlan {
    let receiver = receiver.clone();
    let make = move || Arc::new(receiver.clone()) as Arc<dyn Destination>;
    DestinationPlan {
        when: Some(rule("false")),
        ..of_kind(name, "recorded", DestinationKind::Drain(Arc::new(make)))
    }
}

/// A destination that is gone; what waits for it becomes dead letters.
pub(crate) fn buried(name: &str) -> DestinationPlan {
    DestinationPlan {
        when: Some(rule("false")),
        digest: digest(name, 9),
        ..of_kind(name, "", DestinationKind::DeadLetter)
    }
}

/// A destination that is asked; its replies go to a channel.
pub(crate) fn asks(name: &str, receiver: &Receiver, then: &str) -> DestinationPlan {
    DestinationPlan {
        then: Some(then.into()),
        ..destination(name, receiver)
    }
}

/// A destination that gets the application answers.
pub(crate) fn answers(name: &str, receiver: &Receiver) -> DestinationPlan {
    DestinationPlan {
        sends: Sends::ApplicationAnswer,
        ..destination(name, receiver)
    }
}

/// A destination that publishes on a topic.
pub(crate) fn topic(name: &str) -> DestinationPlan {
    of_kind(name, "topic", DestinationKind::Topic(name.into()))
}

fn of_kind(name: &str, component: &str, kind: DestinationKind) -> DestinationPlan {
    DestinationPlan {
        name: name.into(),
        component: component.to_owned(),
        system: None,
        store: false,
        digest: digest(name, 1),
        kind,
        sends: Sends::Message,
        when: None,
        steps: Vec::new(),
        required: false,
        retry: RetryPlan {
            first: Millis(1),
            longest: Millis(4),
            give_up_after: None,
        },
        after_reject: Some(AfterReject::Continue),
        priority: None,
        queue_max: 100_000,
        queue_bytes_max: Size(100_000_000),
        then: None,
        was: None,
        care: hilum_component::Care::default(),
    }
}

/// A step of a function over the line.
pub(crate) fn step<F>(name: &str, work: F) -> StepPlan
where
    F: Fn(&mut Working, &mut StepContext<'_>) -> Result<Flow, Halted> + Send + Sync + 'static,
{
    StepPlan {
        name: name.into(),
        component: "test".to_owned(),
        step: Arc::new(Closure(work)),
    }
}

struct Closure<F>(F);

impl<F> Step for Closure<F>
where
    F: Fn(&mut Working, &mut StepContext<'_>) -> Result<Flow, Halted> + Send + Sync,
{
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        self.0(message, context)
    }
}

/// The line of a message.
pub(crate) fn line(message: &mut Working) -> &mut Line {
    message
        .document
        .as_any_mut()
        .downcast_mut()
        .expect("a line")
}

/// A step that lets messages of a type end.
pub(crate) fn filters(kind: &'static str) -> StepPlan {
    step("filter", move |message, _| {
        Ok(if line(message).get("type") == kind {
            Flow::Filtered("of no interest here".to_owned())
        } else {
            Flow::Next
        })
    })
}

/// A step that rejects messages of a type.
pub(crate) fn rejects(kind: &'static str) -> StepPlan {
    step("check", move |message, _| {
        if line(message).get("type") == kind {
            return Err(Halted::Reject {
                code: "103".to_owned(),
                path: Some("type".to_owned()),
                text: "this type is at fault".to_owned(),
            });
        }
        Ok(Flow::Next)
    })
}

/// A step that holds messages of a type until the gate of their patient is open.
pub(crate) fn holds(kind: &'static str, for_ms: Option<u64>) -> StepPlan {
    step("hold", move |message, context| {
        if line(message).get("type") != kind {
            return Ok(Flow::Next);
        }
        let patient = line(message).get("patient").to_owned();
        if context
            .get("gate", &patient)
            .is_some_and(|gate| *gate == *b"open")
        {
            return Ok(Flow::Next);
        }
        Err(Halted::Hold {
            reason: "waits".to_owned(),
            until_ms: for_ms.map(|wait| context.arrived_ms + wait),
            wake: Some(("gate".into(), patient.into())),
        })
    })
}

/// A step that writes a text.
pub(crate) fn writes(text: &'static str) -> StepPlan {
    step("set", move |message, _| {
        line(message).put("text", text);
        Ok(Flow::Next)
    })
}

/// A step that splits a message into so many as its text says.
pub(crate) fn splits() -> StepPlan {
    step("split", |message, _| {
        let parts: u64 = line(message)
            .get("text")
            .parse()
            .map_err(|_| Halted::reject("no number"))?;
        let part = |ordinal: u64| {
            let mut part = message.derived(ordinal);
            let id = format!("{}.{ordinal}", line(&mut part).get("id"));
            line(&mut part).put("id", &id);
            part
        };
        Ok(Flow::Split((0..parts).map(part).collect()))
    })
}
