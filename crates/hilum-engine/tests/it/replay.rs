//! Stored messages processed again: for real, or to see what their steps did.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use hilum_component::{ChannelPlan, Disposition, Plan, StepOutcome};
use hilum_engine::{KeptPlans, OperateError, PlanChoice, Replay};
use hilum_message::PlanDigest;

use crate::kit::{
    Act, Hub, Receiver, Sender, With, channel, destination, digest, filters, out, plan, rejects,
    until, writes,
};

/// Keeps the plans that it is given.
#[derive(Clone, Debug, Default)]
struct Shelf {
    plans: Arc<Mutex<Vec<Arc<ChannelPlan>>>>,
    in_use: Arc<Mutex<Vec<BTreeSet<PlanDigest>>>>,
}

impl Shelf {
    fn put(&self, plan: &Plan) {
        self.plans
            .lock()
            .unwrap()
            .extend(plan.channels.values().cloned());
    }
}

fn hex(digest: PlanDigest) -> String {
    digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl KeptPlans for Shelf {
    fn channel(&self, channel: &str, digits: &str) -> Result<Option<Arc<ChannelPlan>>, String> {
        let plans = self.plans.lock().unwrap();
        let fits = |plan: &&Arc<ChannelPlan>| {
            &*plan.name == channel && hex(plan.digest).starts_with(digits)
        };
        Ok(plans.iter().find(fits).cloned())
    }

    fn retain(&self, in_use: &BTreeSet<PlanDigest>) -> Result<(), String> {
        self.in_use.lock().unwrap().push(in_use.clone());
        Ok(())
    }
}

/// A channel that writes a text, as that version.
fn version(sender: &Sender, receiver: &Receiver, version: u8, text: &'static str) -> Plan {
    let lab = channel("lab", sender).version(version);
    plan([lab.step(writes(text)).to(out(receiver))])
}

async fn replay(hub: &Hub, message: hilum_message::MessageId, plan: PlanChoice) -> String {
    let replay = Replay {
        only: Vec::new(),
        plan,
        ..Replay::default()
    };
    let new = hub
        .engine()
        .replay(message, replay)
        .await
        .expect("a replay");
    assert_eq!(new.disposition, Disposition::Accepted);
    new.message.expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_runs_todays_plan_or_the_one_of_then_and_is_linked() {
    let (sender, receiver, shelf) = (Sender::new(), Receiver::new("ehr"), Shelf::default());
    let (old, new) = (
        version(&sender, &receiver, 1, "old"),
        version(&sender, &receiver, 2, "new"),
    );
    shelf.put(&old);
    shelf.put(&new);
    let hub = Hub::start_with(Arc::new(shelf), old).await;
    let first = sender.send("1|ORU|p|x").await.message.expect("an id");
    hub.engine().reload(new).await.expect("a reload");
    let newest = PlanChoice::Digest(hex(digest("lab", 2)).chars().take(8).collect());
    for choice in [PlanChoice::Current, PlanChoice::Then, newest] {
        let again = replay(&hub, first, choice).await.parse().expect("an id");
        let trace = hub.trace(Some(again)).await;
        assert_eq!(
            trace.rows[0].replay_of,
            Some(first),
            "linked to the old one"
        );
    }
    receiver.takes(&["1", "1", "1", "1"]).await;
    let texts = ["old", "new", "old", "new"].map(|text| format!("1|ORU|p|{text}"));
    assert_eq!(receiver.texts(), texts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_not_kept_and_a_destination_that_is_gone_are_named() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let hub = Hub::start(version(&sender, &receiver, 1, "old")).await;
    let message = sender.send("1|ORU|p|x").await.message.expect("an id");
    receiver.takes(&["1"]).await;
    until("an empty queue", || hub.status("lab", "out").waiting == 0).await;
    let mut elsewhere = destination("elsewhere", &receiver);
    elsewhere.digest = digest("elsewhere", 1);
    let moved = channel("lab", &sender).version(2).to(elsewhere);
    hub.engine().reload(plan([moved])).await.expect("a reload");
    let with = |only: &[&str], plan| Replay {
        only: only.iter().map(|name| (*name).into()).collect(),
        plan,
        ..Replay::default()
    };
    for (asked, said) in [
        (with(&[], PlanChoice::Then), "kept plan"),
        (with(&["out"], PlanChoice::Current), "destination out"),
        (
            with(&[], PlanChoice::Digest("0123456789".to_owned())),
            "kept plan 0123456789",
        ),
        (
            with(&[], PlanChoice::Digest("01".to_owned())),
            "hexadecimal digits",
        ),
        (
            with(&[], PlanChoice::Digest("not-hex".to_owned())),
            "hexadecimal digits",
        ),
    ] {
        let error = hub.engine().replay(message, asked).await.expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(receiver.taken(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_goes_to_one_destination_behind_all_that_waits_there() {
    let (sender, ehr, ward) = (Sender::new(), Receiver::new("ehr"), Receiver::new("ward"));
    let lab = channel("lab", &sender)
        .to(destination("ehr", &ehr))
        .to(destination("ward", &ward));
    let hub = Hub::start(plan([lab])).await;
    let old = sender.send("old|ORU|p|x").await.message.expect("an id");
    ward.takes(&["old"]).await;
    ehr.takes(&["old"]).await;
    ward.always(Act::Hang);
    sender.send_all(["a|ORU|q|x"]).await;
    ward.attempts(2).await;
    let only = vec!["ward".into()];
    let asked = Replay {
        only,
        plan: PlanChoice::Current,
        ..Replay::default()
    };
    hub.engine().replay(old, asked).await.expect("a replay");
    sender.send_all(["b|ORU|r|x", "c|ORU|s|x"]).await;
    ward.always(Act::Take);
    ward.takes(&["old", "a", "b", "c", "old"]).await;
    ehr.takes(&["old", "a", "b", "c"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_message_are_computed_again_with_the_plan_of_then() {
    let (sender, receiver, shelf) = (Sender::new(), Receiver::new("ehr"), Shelf::default());
    let mut to = out(&receiver);
    to.steps.push(writes("for the ehr"));
    let lab = channel("lab", &sender)
        .step(filters("DULL"))
        .step(writes("old"))
        .step(rejects("BAD"))
        .to(to);
    let old = plan([lab]);
    shelf.put(&old);
    let hub = Hub::start_with(Arc::new(shelf), old).await;
    let sent = [
        ("1|ORU|p|secret", vec!["next", "next", "next", "next"]),
        ("2|DULL|p|secret", vec!["filtered"]),
        ("3|BAD|p|secret", vec!["next", "next", "halted"]),
    ];
    let mut ids = Vec::new();
    for (text, _) in &sent {
        ids.push(sender.send(text).await.message.expect("an id"));
    }
    let new = version(&sender, &receiver, 2, "new");
    hub.engine().reload(new).await.expect("a reload");
    for (id, (text, outcomes)) in ids.iter().zip(&sent) {
        let found = hub
            .engine()
            .recompute(*id, &PlanChoice::Then)
            .await
            .expect("steps");
        assert_eq!(found.recorded, found.used, "{text}");
        let words = found.steps.iter().map(|step| match &step.outcome {
            StepOutcome::Next => "next",
            StepOutcome::Filtered(_) => "filtered",
            StepOutcome::Split(_) => "split",
            StepOutcome::Halted(_) => "halted",
        });
        assert_eq!(&words.collect::<Vec<_>>(), outcomes, "{text}");
        assert!(
            !format!("{found:?}").contains("secret"),
            "values are masked"
        );
    }
    changes_are_shown(&hub, ids[0]).await;
    let today = hub
        .engine()
        .recompute(ids[0], &PlanChoice::Current)
        .await
        .expect("steps");
    assert!(today.recorded != today.used, "and says so");
    let gone = hub
        .engine()
        .recompute(hilum_message::MessageId::default(), &PlanChoice::Then)
        .await;
    assert!(matches!(gone, Err(OperateError::NotFound(_))));
}

async fn changes_are_shown(hub: &Hub, id: hilum_message::MessageId) {
    let found = hub
        .engine()
        .recompute(id, &PlanChoice::Then)
        .await
        .expect("steps");
    let changes: Vec<_> = found
        .steps
        .iter()
        .map(|step| {
            let line = step.lines.first()?;
            let of = |value: &Option<hilum_message::Phi<String>>| {
                value.as_ref().map(|v| v.reveal().clone())
            };
            Some((
                step.step.as_str(),
                line.path.clone()?,
                of(&line.before)?,
                of(&line.after)?,
            ))
        })
        .collect();
    let change = |step, before: &str, after: &str| {
        Some((step, "text".to_owned(), before.to_owned(), after.to_owned()))
    };
    assert_eq!(
        changes,
        [
            None,
            change("set", "secret", "old"),
            None,
            change("out/set", "old", "for the ehr"),
        ]
    );
    assert_eq!(found.destinations, ["out".into()]);
}
