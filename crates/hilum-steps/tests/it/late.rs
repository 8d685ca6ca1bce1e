//! Registrations in every order of arrival, at a receiver that applies what it gets.

use std::collections::BTreeMap;

use hilum_component::{Disposition, Processed};

use crate::channel::{Channel, outcome};

const PAS: (&str, &str) = (
    "systems/pas.yaml",
    "system: pas\nzone: '+01:00'\nidentifiers:\n  - { authority: H, oid: 1.2.3, type: MR }\n  - { authority: HV, type: VN }\n",
);

fn channel(late: &str) -> Channel {
    Channel::new(
        "hl7v2",
        &[PAS],
        &format!("match: {{ system: pas, late: {late} }}"),
    )
}

fn adt(event: &str, at: u32, pid: &str, pv1: &str, more: &str) -> String {
    let time = format!("202601011{at:03}00");
    format!(
        "MSH|^~\\&|PAS|H|||{time}||ADT^{event}^ADT_A01|C{at}|P|2.5\nEVN|{event}|{time}\n\
         PID|||7^^^H^MR||{pid}\nPV1||I|{pv1}||||||||||||||||V1^^^HV\n{more}"
    )
}

/// Admitted, moved, changed, an address deleted, discharged.
fn stay() -> Vec<String> {
    let phones = "Doe^Jane||19700101|F|||Elm 1^^Bonn~Oak 2^^Köln||0228";
    vec![
        adt("A01", 1, phones, "W1^1^1", "AL1|1||PEN\nNK1|1|Doe^Jim\n"),
        adt("A02", 2, "Doe^Jane||19700101|F", "W2^1^1", ""),
        adt(
            "A08",
            3,
            "Roe^Jane||19700101|F|||Fir 3^^Bonn",
            "W2^1^1",
            "AL1|1||NUTS\nAL1|2||LATEX\n",
        ),
        adt("A08", 4, "Roe^Jane||19700101|F|||\"\"", "W2^2^1", ""),
        adt("A03", 5, "Roe^Jane||19700101|F", "W2^2^1", ""),
    ]
}

/// What a plain receiver has: the last value of each field, the last list of each kind, the status
/// that the last event gave the visit. What is absent leaves things alone, `""` deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Receiver(BTreeMap<String, String>);

impl Receiver {
    fn apply(&mut self, processed: &Processed) {
        for text in match processed.disposition {
            Disposition::Accepted => outcome(processed),
            Disposition::Filtered => Vec::new(),
            other => panic!("{other:?}: {:?}", processed.reason),
        } {
            let event = text.split("ADT^").nth(1).and_then(|rest| rest.get(..3));
            let status = match event {
                Some("A01" | "A13") => Some("open"),
                Some("A03") => Some("finished"),
                Some("A11") => Some("cancelled"),
                _ => None,
            };
            self.0
                .extend(status.map(|status| ("status".to_owned(), status.to_owned())));
            let mut lists: BTreeMap<String, String> = BTreeMap::new();
            for line in text.lines() {
                let (id, fields) = line.split_once('|').unwrap_or((line, ""));
                match id {
                    "MSH" | "EVN" => {}
                    "PID" | "PV1" => {
                        for (field, n) in fields.split('|').zip(1..) {
                            if !field.is_empty() {
                                self.0.insert(format!("{id}-{n}"), field.to_owned());
                            }
                        }
                    }
                    _ => lists.entry(id.to_owned()).or_default().push_str(fields),
                }
            }
            self.0.extend(lists);
        }
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in permutations(count - 1) {
        for at in 0..count {
            let mut order = shorter.clone();
            order.insert(at, count - 1);
            all.push(order);
        }
    }
    all
}

fn received(messages: &[String], order: &[usize]) -> Receiver {
    let mut channel = channel("newest");
    let mut receiver = Receiver::default();
    for &at in order {
        receiver.apply(&channel.run(&messages[at]));
    }
    receiver
}

#[test]
fn a_plain_receiver_ends_the_same_in_every_order_of_arrival() {
    let messages = stay();
    let expected = received(&messages, &[0, 1, 2, 3, 4]);
    assert_eq!(expected.0["status"], "finished");
    assert_eq!(expected.0["PID-5"], "Roe^Jane");
    assert_eq!(expected.0["PID-11"], "\"\"");
    assert_eq!(expected.0["PID-13"], "0228");
    assert_eq!(expected.0["AL1"], "1||NUTS2||LATEX");
    let orders = permutations(messages.len());
    assert_eq!(orders.len(), 120);
    for order in orders {
        assert_eq!(received(&messages, &order), expected, "{order:?}");
    }
}

#[test]
fn a_cancelled_and_reopened_stay_ends_the_same_as_well() {
    let who = "Doe^Jane||19700101|F";
    let messages = [
        adt("A01", 1, who, "W1", ""),
        adt("A11", 2, who, "W1", ""),
        adt("A01", 3, who, "W3", ""),
        adt("A03", 4, who, "W3", ""),
        adt("A13", 5, who, "W4", ""),
    ];
    let expected = received(&messages, &[0, 1, 2, 3, 4]);
    assert_eq!(expected.0["status"], "open");
    for order in permutations(messages.len()) {
        assert_eq!(received(&messages, &order), expected, "{order:?}");
    }
}

#[test]
fn a_late_admission_is_a_change_with_the_newest_values() {
    let messages = stay();
    let mut channel = channel("newest");
    channel.run(&messages[4]);
    let late = channel.run(&messages[0]);
    let text = outcome(&late).concat();
    assert!(text.contains("ADT^A08^ADT_A01|C1|"), "{text}");
    assert!(text.contains("EVN|A08|"), "{text}");
    assert!(
        text.contains("||Roe^Jane||19700101|F|||Elm 1^^Bonn~Oak 2^^Köln||0228"),
        "{text}"
    );
    assert!(text.contains("PV1||I|W2^2^1|"), "{text}");
    let codes: Vec<_> = late.findings.iter().map(|one| &*one.code).collect();
    assert!(codes.contains(&"late-message"), "{codes:?}");
    // Once more, it says nothing new.
    let again = channel.run(&adt("A02", 2, "Doe^Jane", "W2^1^1", ""));
    assert_eq!(again.disposition, Disposition::Filtered);
}

#[test]
fn what_is_late_may_be_withheld_or_stay() {
    for (policy, disposition) in [
        ("withhold", Disposition::Filtered),
        ("keep", Disposition::Accepted),
    ] {
        let mut channel = channel(policy);
        channel.run(&stay()[4]);
        let late = channel.run(&stay()[0]);
        assert_eq!(late.disposition, disposition);
        if policy == "keep" {
            assert!(outcome(&late)[0].contains("ADT^A01^ADT_A01|C1|"));
        }
    }
}

#[test]
fn what_was_deleted_since_does_not_come_back() {
    for code in ["A23", "A29"] {
        let mut channel = channel("newest");
        channel.run(&adt(code, 5, "Doe^Jane||19700101|F", "W1", ""));
        let late = channel.run(&adt(
            "A01",
            1,
            "Doe^Jane||19700101|F|||Elm 1",
            "W1",
            "AL1|1||PEN\n",
        ));
        assert_eq!(late.disposition, Disposition::Filtered, "{code}");
    }
}

#[test]
fn a_late_deletion_does_not_delete_whom_a_newer_message_has_registered() {
    let mut channel = channel("newest");
    channel.run(&adt("A01", 5, "Doe^Jane||19700101|F", "W1", ""));
    let bare = "MSH|^~\\&|PAS|H|||20260101||ADT^A29|C1|P|2.5\nEVN||20260101\nPID|||7^^^H^MR\n";
    assert_eq!(channel.run(bare).disposition, Disposition::Filtered);
}

#[test]
fn a_late_leave_sends_nobody_away_who_has_returned() {
    let who = "Doe^Jane||19700101|F";
    for (newer, older) in [("A22", "A21"), ("A52", "A21"), ("A53", "A22")] {
        let mut channel = channel("newest");
        channel.run(&adt(newer, 5, who, "W1", ""));
        let late = channel.run(&adt(older, 3, who, "W1", ""));
        assert_eq!(late.disposition, Disposition::Filtered, "{older}");
        // One that says something new besides is a change.
        let late = channel.run(&adt(older, 4, &format!("{who}|||Elm 1"), "W1", ""));
        let text = outcome(&late).concat();
        assert!(text.contains("ADT^A08") && text.contains("Elm 1"), "{text}");
    }
}

#[test]
fn allergies_with_an_action_are_no_list_of_each_other() {
    let mut channel = channel("newest");
    let iam = |code: &str, action: &str| format!("IAM|1|DA|{code}^^L|SV||{action}\n");
    let who = "Doe^Jane||19700101|F";
    channel.run(&adt("A60", 5, who, "W1", &iam("PEN", "D")));
    let added = format!("{}{}", iam("PEN", "A"), iam("LTX", "A"));
    let late = outcome(&channel.run(&adt("A60", 3, who, "W1", &added))).concat();
    assert!(late.contains("LTX"), "it is not lost: {late}");
    assert!(!late.contains("PEN"), "it does not come back: {late}");
}

#[test]
fn a_late_message_that_alone_makes_a_stay_confidential_goes_on() {
    let mut channel = channel("newest");
    let stay = |event: &str, at: u32, courtesy: &str| {
        let pv1 = format!("W1|||||||||||||{courtesy}|||V1");
        let message = adt(event, at, "Doe^Jane||19700101|F", "W1", "");
        message.replace("W1||||||||||||||||V1", &pv1)
    };
    channel.run(&stay("A03", 5, "NRM"));
    let late = channel.run(&stay("A01", 1, "VIP"));
    assert!(outcome(&late).concat().contains("ADT^A08"));
    assert_eq!(late.deliveries[0].metadata.get("security"), Some("R CEL"));
    // The same label tells nothing new.
    let again = channel.run(&stay("A01", 2, "VIP"));
    assert_eq!(again.disposition, Disposition::Accepted);
    let third = channel.run(&stay("A01", 1, "VIP"));
    assert_eq!(third.disposition, Disposition::Filtered);
}

#[test]
fn what_is_about_the_person_alone_is_not_over_with_the_visit() {
    let mut channel = channel("newest");
    channel.run(&adt("A03", 5, "Doe^Jane||19700101|F", "W1", ""));
    let late = channel.run(&adt("A60", 1, "Doe^Jane", "W1", "IAM|1||PEN\n"));
    assert!(outcome(&late).concat().contains("ADT^A60"), "{late:?}");
}

#[test]
fn other_separators_and_character_sets_are_translated() {
    let mut channel = channel("newest");
    let newer = "MSH!*%/+!PAS!H!!!20260102!!ADT*A08!2!P!2.5\nEVN!!20260102\nPID!!!7***H*MR!!M/T/ller*J%B*K\n";
    assert_eq!(channel.run(newer).disposition, Disposition::Accepted);
    let late = channel.run("MSH|^~\\&|PAS|H|||20260101||ADT^A08|1|P|2.5\nEVN||20260101\nPID|||7^^^H^MR||X^Y||19700101|||Z\n");
    let text = outcome(&late).concat();
    assert!(
        text.contains("PID|||7^^^H^MR||M+ller^J~B^K||19700101|||Z"),
        "{text}"
    );
}

#[test]
fn items_of_a_declared_delta_are_told_one_by_one() {
    let admitted = adt(
        "A01",
        1,
        "Doe^Jane",
        "W1^1^1",
        "AL1|1||PEN^Penicillin\nAL1|2||NUTS^Nuts|MI\n",
    );
    let changed = adt("A08", 3, "Doe^Jane", "W1^1^1", "AL1|1||NUTS^Nuts|SV\n");
    let allergies = |lists: &str, messages: &[&str]| {
        let pas = format!("{}{lists}", PAS.1);
        let mut channel = Channel::new(
            "hl7v2",
            &[(PAS.0, pas.as_str())],
            "match: { system: pas, late: newest }",
        );
        let last = messages.iter().map(|text| channel.run(text)).last();
        let texts = outcome(&last.unwrap());
        println!("{texts:?}");
        let lines = texts.iter().flat_map(|text| text.split(['\r', '\n']));
        let own = lines.filter(|line| line.starts_with("AL1"));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    for lists in [
        "lists: { AL1: { says: delta } }\n",
        "lists: { AL1: { says: actions } }\n",
    ] {
        // What the newer message did not say is still news; what it did say is not.
        let late = allergies(lists, &[&changed, &admitted]);
        assert_eq!(late, ["AL1|1||PEN^Penicillin"], "{lists}");
        let whole = admitted.replace("AL1|1||PEN^Penicillin", "AL1|1||\"\"");
        assert_eq!(
            allergies(lists, &[&whole, &changed]),
            ["AL1|1||NUTS^Nuts|SV"]
        );
        // A newer deletion of the list is not taken back.
        let deleted = changed.replace("NUTS^Nuts|SV", "\"\"");
        assert!(allergies(lists, &[&deleted, &admitted]).is_empty());
    }
    for lists in ["", "lists: { AL1: { says: snapshot } }\n"] {
        assert!(
            allergies(lists, &[&changed, &admitted]).is_empty(),
            "{lists}"
        );
    }
}
