//! What expressions see beside the message.

use hilum_component::{ChannelPlan, DestinationPlan, Flow, IndexField, Order};
use hilum_engine::{PlanChoice, Replay};

use crate::kit::{Hub, Receiver, Sender, With, channel, destination, line, plan, rule, step};

/// Counts in a named value how often the message came by, and writes it into the text.
fn counts() -> hilum_component::StepPlan {
    step("count", |message, _| {
        let before = message.metadata.get("seen").unwrap_or_default().to_owned();
        message.metadata.set("seen", format!("{before}+"));
        let text = format!("{}{before}", line(message).get("text"));
        line(message).put("text", &text);
        Ok(Flow::Next)
    })
}

/// Writes an expression of `%meta` into the text.
fn shows(text: &'static str) -> hilum_component::StepPlan {
    let shown = rule(text);
    step("show", move |message, context| {
        let value = shown.first(&*message.document, context.env);
        let value = value
            .expect("an expression over values")
            .unwrap_or_default();
        line(message).put("text", &value);
        Ok(Flow::Next)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_and_routes_read_the_named_values() {
    let (sender, ward, other) = (Sender::new(), Receiver::new("ward"), Receiver::new("other"));
    let lab = ChannelPlan {
        index: vec![IndexField {
            name: "of-type".into(),
            rule: rule("type"),
        }],
        order: Order::Rule(rule("%meta.nobody | patient")),
        ..channel("lab", &sender)
    };
    let seen = |text: &str, to: DestinationPlan| DestinationPlan {
        when: Some(rule(text)),
        ..to
    };
    let lab = lab
        .step(counts())
        .step(counts())
        .step(shows(
            "%meta.seen & '-' & %meta.`of-type` & '-' & %meta.nobody",
        ))
        .to(seen("%meta.seen = '++'", destination("ward", &ward)))
        .to(seen("%meta.seen = '+'", destination("other", &other)));
    let hub = Hub::start(plan([lab])).await;
    let reply = sender.send("1|ORU|p|x").await;
    ward.takes(&["1"]).await;
    assert_eq!(ward.texts(), ["1|ORU|p|++-ORU-"]);
    // A replay begins with the values that the message came with.
    let replay = Replay {
        plan: PlanChoice::Current,
        only: Vec::new(),
        ..Replay::default()
    };
    let message = reply.message.expect("an id");
    hub.engine()
        .replay(message, replay)
        .await
        .expect("a replay");
    ward.takes(&["1", "1"]).await;
    assert_eq!(ward.texts()[1], ward.texts()[0]);
    assert!(other.texts().is_empty());
}
