//! What is noticed about a message is recorded with it.

use hilum_component::{Finding, Flow, Severity, StepPlan};
use hilum_journal::{AnyOf, Query, Severity as Stored, StoredMessage, Token};
use hilum_message::IndexToken;

use crate::kit::{Hub, Receiver, Sender, With, channel, line, out, plan, step};

/// Flags so many places as the text of the message says.
fn flags() -> StepPlan {
    step("flag", |message, context| {
        let count = line(message).get("text").trim().parse().unwrap_or(0);
        for place in 0..count {
            context.findings.push(Finding {
                step: context.step.to_owned(),
                code: "unmapped".to_owned(),
                path: Some(format!("text[{place}]")),
                severity: Severity::Error,
                text: "the table has no such code".to_owned(),
            });
        }
        Ok(Flow::Next)
    })
}

fn said(row: &StoredMessage) -> Vec<String> {
    let said = row.findings.iter().map(|finding| {
        let path = finding.path.as_deref().unwrap_or("-");
        format!(
            "{:?} {} {} {path}",
            finding.severity, finding.step, finding.code
        )
    });
    said.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_of_format_steps_and_engine_are_recorded_and_found_by_their_code() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender).step(flags()).to(out(&receiver));
    let hub = Hub::start(plan([lab])).await;
    sender
        .send_all(["1|ORU|p|0", "2|ORU|p |1", "1|ORU|p|x", "4|ORU|p|0"])
        .await;
    let found: Vec<_> = hub.recorded("lab").await.iter().map(said).collect();
    let of_second = vec![
        "Warning parse trailing-space patient".to_owned(),
        "Error flag unmapped text[0]".to_owned(),
    ];
    let of_third = vec!["Warning resend control-id-reused -".to_owned()];
    assert_eq!(found, [vec![], of_second, of_third, vec![]]);

    let key = hub.engine().journal().index_key();
    let query = Query {
        tokens: vec![AnyOf {
            kind: Token::FINDING,
            values: vec![IndexToken::of(&key, "finding", "unmapped")],
        }],
        ..Query::default()
    };
    let page = hub
        .engine()
        .journal()
        .search(query)
        .await
        .expect("a search");
    let ids: Vec<_> = page
        .messages
        .iter()
        .map(|row| row.control_id.as_deref())
        .collect();
    assert_eq!(ids, [Some("2")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_findings_than_are_kept_are_summed_up() {
    let (sender, receiver) = (Sender::new(), Receiver::new("ehr"));
    let lab = channel("lab", &sender).step(flags()).to(out(&receiver));
    let hub = Hub::start(plan([lab])).await;
    sender.send_all(["1|ORU|p|64", "2|ORU|p|65"]).await;
    let rows = hub.recorded("lab").await;
    assert_eq!(rows[0].findings.len(), 64);
    assert_eq!(rows[1].findings.len(), 65);
    let last = rows[1].findings.last().expect("findings");
    assert_eq!(
        (&*last.code, last.severity),
        ("more-findings", Stored::Error)
    );
}
