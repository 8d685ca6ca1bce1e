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

/// How a receiver reads a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lists {
    /// It has all there is.
    #[default]
    Whole,
    /// What it has comes to what is there, or takes its place.
    Added,
}

/// What a plain receiver has: the last value of each field, its lists, the status that the last event
/// gave the visit. What is absent leaves things alone, `""` deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Receiver {
    reads: Lists,
    fields: BTreeMap<String, String>,
    /// The items of lists by what tells one from the others, without their numbers.
    items: BTreeMap<(String, String), String>,
}

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
            self.fields
                .extend(status.map(|status| ("status".to_owned(), status.to_owned())));
            let lines: Vec<&str> = text.split(['\r', '\n']).collect();
            if self.reads == Lists::Whole {
                let has = |list: &str| lines.iter().any(|line| line.starts_with(list));
                self.items.retain(|(list, _), _| !has(list));
            }
            for line in lines {
                let (id, fields) = line.split_once('|').unwrap_or((line, ""));
                match id {
                    "MSH" | "EVN" => {}
                    "PID" | "PV1" => {
                        for (field, n) in fields.split('|').zip(1..) {
                            if !field.is_empty() {
                                self.fields.insert(format!("{id}-{n}"), field.to_owned());
                            }
                        }
                    }
                    _ => self.item(id, fields),
                }
            }
        }
    }

    fn item(&mut self, list: &str, fields: &str) {
        let said: Vec<_> = fields.split('|').skip(1).collect();
        let Some(name) = said.get(usize::from(list != "NK1")) else {
            return;
        };
        if *name == "\"\"" {
            self.items.retain(|(of, _), _| of != list);
            return;
        }
        let by = name.split('^').next().unwrap_or_default();
        let item = (list.to_owned(), by.to_owned());
        self.items.insert(item, said.join("|"));
    }

    fn list(&self, list: &str) -> Vec<&str> {
        let own = self.items.iter().filter(|((of, _), _)| of == list);
        own.map(|((_, by), _)| &**by).collect()
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

fn received(messages: &[String], order: &[usize], reads: Lists) -> Receiver {
    let mut channel = channel("newest");
    let mut receiver = Receiver {
        reads,
        ..Receiver::default()
    };
    for &at in order {
        receiver.apply(&channel.run(&messages[at]));
    }
    receiver
}

/// The same at who adds to what is there, whatever the order of arrival. Who takes a list for all there is
/// has no less than the newest one had, and nothing that is older than what is known of it.
fn the_same_in_every_order(messages: &[String]) -> Receiver {
    let told: Vec<usize> = (0..messages.len()).collect();
    let expected = received(messages, &told, Lists::Added);
    let newest = received(messages, &told, Lists::Whole);
    for order in permutations(messages.len()) {
        let adds = received(messages, &order, Lists::Added);
        assert_eq!(adds, expected, "{order:?}");
        let replaces = received(messages, &order, Lists::Whole);
        assert_eq!(replaces.fields, expected.fields, "{order:?}");
        for (item, text) in &newest.items {
            assert_eq!(replaces.items.get(item), Some(text), "{order:?}");
        }
        for (item, text) in &replaces.items {
            assert_eq!(expected.items.get(item), Some(text), "{order:?}");
        }
    }
    expected
}

#[test]
fn a_plain_receiver_ends_the_same_in_every_order_of_arrival() {
    let messages = stay();
    assert_eq!(permutations(messages.len()).len(), 120);
    let expected = the_same_in_every_order(&messages);
    assert_eq!(expected.fields["status"], "finished");
    assert_eq!(expected.fields["PID-5"], "Roe^Jane");
    assert_eq!(expected.fields["PID-11"], "\"\"");
    assert_eq!(expected.fields["PID-13"], "0228");
    assert_eq!(expected.list("AL1"), ["LATEX", "NUTS", "PEN"]);
    assert_eq!(expected.list("NK1"), ["Doe"]);
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
    let expected = the_same_in_every_order(&messages);
    assert_eq!(expected.fields["status"], "open");
}

#[test]
fn items_of_lists_of_which_nothing_is_declared_end_the_same_in_every_order() {
    let who = "Doe^Jane||19700101|F";
    let messages = [
        adt(
            "A01",
            1,
            who,
            "W1",
            "NK1|1|Doe^Jim|SPO||1\nAL1|1||PEN^Pen|MI\nDG1|1||J10^Flu||1\nDG1|2||I10^High\n",
        ),
        adt(
            "A08",
            2,
            who,
            "W1",
            "NK1|1|Doe^Jim|SPO||2\nNK1|2|Roe^Ann|MTH\nAL1|1||PEN^Penic.|SV\nAL1|2||NUTS^Nuts\n",
        ),
        adt("A08", 3, who, "W1", "DG1|1||J10^Flu||3\nAL1|1\n"),
        adt(
            "A08",
            4,
            who,
            "W1",
            "NK1|1|Roe^Ann|MTH||4\nAL1|1||LATEX^Latex|MO\nAL1|2||PEN^Pen|MO\n",
        ),
        adt("A03", 5, who, "W1", "DG1|1||E11^Diabetes\n"),
    ];
    let expected = the_same_in_every_order(&messages);
    assert_eq!(expected.list("AL1"), ["LATEX", "NUTS", "PEN"]);
    let penicillin = ("AL1".to_owned(), "PEN".to_owned());
    assert_eq!(expected.items[&penicillin], "|PEN^Pen|MO");
    assert_eq!(expected.list("DG1"), ["E11", "I10", "J10"]);
    assert_eq!(expected.list("NK1"), ["Doe", "Roe"]);
    // A deletion of all is newer than what it deletes, and older than what comes after it.
    let messages = [
        adt("A01", 1, who, "W1", "AL1|1||PEN^Pen\nAL1|2||NUTS^Nuts\n"),
        adt("A08", 2, who, "W1", ""),
        adt("A08", 3, who, "W1", "AL1|1||\"\"\n"),
    ];
    let expected = the_same_in_every_order(&messages);
    assert!(expected.list("AL1").is_empty());
}

#[test]
fn a_late_deletion_of_a_list_ends_what_was_there_before_it_and_nothing_newer() {
    let who = "Doe^Jane||19700101|F";
    let messages = [
        adt(
            "A01",
            1,
            who,
            "W1",
            "AL1|1||PEN^Pen|MI\nAL1|2||NUTS^Nuts\nNK1|1|Doe^Jim|SPO\n",
        ),
        adt(
            "A08",
            2,
            who,
            "W1",
            "AL1|1||\"\"\nDG1|1||J10^Flu\nNK1|1|\"\"\n",
        ),
        adt(
            "A08",
            3,
            who,
            "W1",
            "AL1|1||LATEX^Latex|MO\nAL1|2||PEN^Pen|SV\n",
        ),
        // It has a list in place of the one before, and takes that of the visit away.
        adt(
            "A08",
            4,
            who,
            "W1",
            "AL1|1||\"\"\nAL1|2||SOY^Soy\nDG1|1||\"\"\n",
        ),
        adt(
            "A03",
            5,
            who,
            "W1",
            "AL1|1||LATEX^Latex|SV\nDG1|1||E11^Diabetes\nNK1|1|Roe^Ann|MTH\n",
        ),
    ];
    for lists in [
        "",
        "lists: { AL1: { says: delta }, DG1: { says: actions }, NK1: { says: delta } }\n",
    ] {
        let told: Vec<usize> = (0..messages.len()).collect();
        let pas = format!("{}{lists}", PAS.1);
        let received = |order: &[usize]| {
            let site = &[(PAS.0, pas.as_str())];
            let mut channel = Channel::new("hl7v2", site, "match: { system: pas }");
            let mut receiver = Receiver {
                reads: Lists::Added,
                ..Receiver::default()
            };
            for &at in order {
                receiver.apply(&channel.run(&messages[at]));
            }
            receiver
        };
        let expected = received(&told);
        assert_eq!(expected.list("AL1"), ["LATEX", "SOY"]);
        assert_eq!(expected.list("DG1"), ["E11"]);
        assert_eq!(expected.list("NK1"), ["Roe"]);
        for order in permutations(messages.len()) {
            assert_eq!(received(&order), expected, "{order:?} {lists}");
        }
    }
    // Who takes a list for all there is as well.
    the_same_in_every_order(&messages);
}

#[test]
fn a_late_deletion_goes_on_with_what_newer_messages_told_behind_it() {
    let who = "Doe^Jane||19700101|F";
    let mut channel = channel("newest");
    let newer = "AL1|1||NUTS^Nuts^L|SV\nNTE|1||said again\n";
    channel.run(&adt("A08", 5, who, "W1", newer));
    let late = channel.run(&adt("A08", 3, who, "W1", "AL1|1||\"\"\n"));
    let expected = ["AL1|1||\"\"", "AL1|2||NUTS^Nuts^L|SV", "NTE|1||said again"];
    assert_eq!(lines_of(&late, "AL1"), expected);
    // A newer deletion has said it already.
    let again = channel.run(&adt("A08", 2, who, "W1", "AL1|1||\"\"\n"));
    assert_eq!(again.disposition, Disposition::Filtered);
    // What cannot be told again would be lost.
    let long = format!("AL1|1||SOY||{}\n", "x".repeat(4_097));
    channel.run(&adt("A08", 6, who, "W1", &long));
    let late = adt("A08", 4, &format!("{who}|||Elm 1"), "W1", "AL1|1||\"\"\n");
    assert!(lines_of(&channel.run(&late), "AL1").is_empty());
}

fn lines_of(processed: &Processed, list: &str) -> Vec<String> {
    let texts = outcome(processed);
    let lines = texts.iter().flat_map(|text| text.split(['\r', '\n']));
    let own = lines.filter(|line| line.starts_with(list) || line.starts_with("NTE"));
    own.map(str::to_owned).collect()
}

#[test]
fn a_late_list_goes_on_with_what_newer_ones_told_and_what_it_alone_has() {
    let who = "Doe^Jane||19700101|F";
    let mut channel = channel("newest");
    let newer = adt(
        "A08",
        3,
        who,
        "W1",
        "AL1|1||NUTS^Nüsse^L|SV|Rash~\"\"\nNTE|1||said again\nAL1|2|||MI|no code\n",
    );
    channel.run(&newer);
    let late = "AL1|1||PEN^Penicillin^L|MI\nAL1|2||NUTS^Nüsse^L|MI\nNTE|1||old\n";
    let late = channel.run(&adt("A08", 1, who, "W1", late));
    let newest = |from: u32| {
        [
            format!("AL1|{from}||NUTS^Nüsse^L|SV|Rash~\"\""),
            "NTE|1||said again".to_owned(),
            format!("AL1|{}|||MI|no code", from + 1),
        ]
    };
    let [first, note, second] = newest(2);
    let own = "AL1|1||PEN^Penicillin^L|MI".to_owned();
    assert_eq!(lines_of(&late, "AL1"), [own, first, note, second]);
    // One that has nothing new says nothing, and neither does an item of which nothing is said.
    let more = "AL1|1||PEN^Penicillin^L|SV\nAL1|2\n";
    let late = channel.run(&adt("A08", 1, &format!("{who}|||Elm 1"), "W1", more));
    let [first, note, second] = newest(2);
    let own = "AL1|1||PEN^Penicillin^L|SV".to_owned();
    let expected = [own, first, note, second];
    assert_eq!(lines_of(&late, "AL1"), expected, "told at the same time");
    let less = channel.run(&adt("A08", 0, &format!("{who}|||||0228"), "W1", more));
    assert!(lines_of(&less, "AL1").is_empty());
    // The separators are those of the late message.
    let other = "MSH!*%/+!PAS!H!!!20251231!!ADT*A08!2!P!2.5\nEVN!!20251231\nPID!!!7***H*MR\n\
                 AL1!1!!LTX*Latex\n";
    let text = outcome(&channel.run(other)).concat();
    assert!(text.contains("AL1!1!!LTX*Latex"), "{text}");
    assert!(text.contains("AL1!2!!PEN*Penicillin*L!SV"), "{text}");
    assert!(text.contains("AL1!3!!NUTS*Nüsse*L!SV!Rash%\"\""), "{text}");
    let usual = other
        .replace("!*%/+", "|^~\\&")
        .replace('!', "|")
        .replace('*', "^");
    let before = usual
        .replace("20251231", "20251230")
        .replace("LTX^Latex", "SOY");
    let text = outcome(&channel.run(&before)).concat();
    assert!(text.contains("AL1|1||SOY"), "{text}");
    assert!(text.contains("AL1|2||LTX^Latex"), "{text}");
}

#[test]
fn items_that_are_too_many_or_too_long_to_be_kept_are_told_as_a_whole() {
    let who = "Doe^Jane||19700101|F";
    let many = |from: usize, count: usize| -> String {
        let one = |n: usize| format!("OBX|{n}|NM|C{n}||1\n");
        (from..from + count).map(one).collect()
    };
    // 200 are known one by one; with one more the oldest are no more.
    for (more, expected) in [(100, 1), (101, 0)] {
        let mut channel = channel("newest");
        channel.run(&adt("A08", 2, who, "W1", &many(1, more - 50)));
        channel.run(&adt("A08", 3, who, "W1", &many(201, 100)));
        channel.run(&adt("A08", 4, who, "W1", &many(301, 50)));
        let late = channel.run(&adt(
            "A08",
            1,
            &format!("{who}|||Elm 1"),
            "W1",
            &many(999, 1),
        ));
        let own = lines_of(&late, "OBX");
        let late = own.iter().filter(|line| line.contains("C999"));
        assert_eq!(late.count(), expected, "{more}");
        assert_eq!(own.len(), expected * 201);
    }
    for (length, expected) in [(4_096, 2), (4_097, 0)] {
        let mut channel = channel("newest");
        let long = format!(
            "AL1|1||PEN||{}\n",
            "x".repeat(length - "AL1|1||PEN||".len())
        );
        channel.run(&adt("A08", 3, who, "W1", &long));
        let late = format!("{who}|||Elm 1");
        let late = channel.run(&adt("A08", 1, &late, "W1", "AL1|1||NUTS\n"));
        assert_eq!(lines_of(&late, "AL1").len(), expected);
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
    let lists = "lists: { AL1: { says: snapshot } }\n";
    assert!(allergies(lists, &[&changed, &admitted]).is_empty());
    // Nothing is declared: for all there is, or added to what is there.
    assert_eq!(
        allergies("", &[&changed, &admitted]),
        ["AL1|1||PEN^Penicillin", "AL1|2||NUTS^Nuts|SV"]
    );
}
