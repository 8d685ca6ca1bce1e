//! Merges, moves and links as registrations: what they say of whoever stays is kept, and what is older than
//! what is known of them gives way, in whatever order messages come.

use hilum_component::{Disposition, Processed, Released, ReleasedBy};

use crate::channel::{Channel, outcome};

const PAS: (&str, &str) = (
    "systems/pas.yaml",
    "system: pas\nzone: '+01:00'\nidentifiers:\n  - { authority: H, type: MR }\n  - { authority: HV, type: VN }\n  - { authority: HA, type: AN }\n",
);

const NOBODY: &str = "|||";

fn channel(more: &str) -> Channel {
    Channel::new("hl7v2", &[PAS], &format!("match: {{ system: pas{more} }}"))
}

/// An event of some lines, at a minute.
fn event(code: &str, at: u32, lines: &str) -> String {
    let time = format!("2026010110{at:02}00");
    format!("MSH|^~\\&|PAS|H|||{time}||ADT^{code}|{code}-{at}|P|2.5\nEVN|{code}|{time}\n{lines}\n")
}

/// PID of a number, from its name on: `Doe^Jane||19700101|F|||Elm 1`.
fn pid(number: &str, who: &str) -> String {
    format!("PID|||{number}^^^H^MR||{who}")
}

fn pv1(place: &str, visit: &str) -> String {
    format!("PV1||I|{place}||||||||||||||||{visit}^^^HV^VN")
}

fn merge(code: &str, at: u32, into: &str, who: &str, former: &str) -> String {
    let lines = format!("{}\nMRG|{former}^^^H^MR", pid(into, who));
    event(code, at, &lines)
}

/// The lines of a segment of the only message that goes on.
fn lines(processed: &Processed, segment: &str) -> Vec<String> {
    assert_eq!(
        processed.disposition,
        Disposition::Accepted,
        "{processed:?}"
    );
    let text = outcome(processed).concat();
    let all = text.split(['\r', '\n']);
    let own = all.filter(|line| line.starts_with(segment));
    own.map(|line| line.trim_end_matches('|').to_owned())
        .collect()
}

fn field(processed: &Processed, segment: &str, number: usize) -> String {
    let line = lines(processed, segment).concat();
    let field = line.split('|').nth(number);
    field.unwrap_or_default().to_owned()
}

fn is_late(processed: &Processed) -> bool {
    let mut all = processed.findings.iter();
    all.any(|one| one.code == "late-message")
}

/// Every event that says something of the patient of its PID, with what its level needs.
const RELINKS: [(&str, &str, &str); 18] = [
    ("A18", "", "MRG|8^^^H^MR"),
    ("A30", "", "MRG|8^^^H^MR"),
    ("A34", "", "MRG|8^^^H^MR"),
    ("A35", "A1^^^HA^AN", "MRG|7^^^H^MR||A2^^^HA^AN"),
    ("A36", "A1^^^HA^AN", "MRG|8^^^H^MR||A2^^^HA^AN"),
    ("A39", "", "MRG|8^^^H^MR"),
    ("A40", "", "MRG|8^^^H^MR"),
    ("A41", "A1^^^HA^AN", "MRG|7^^^H^MR||A2^^^HA^AN"),
    ("A42", "", "MRG|7^^^H^MR||||V2^^^HV^VN"),
    ("A43", "", "MRG|8^^^H^MR"),
    ("A44", "A1^^^HA^AN", "MRG|8^^^H^MR||A1^^^HA^AN"),
    ("A45", "", "MRG|8^^^H^MR||||V1^^^HV^VN"),
    ("A46", "", "MRG|8^^^H^MR"),
    ("A47", "", "MRG|8^^^H^MR"),
    ("A48", "", "MRG|8^^^H^MR"),
    ("A49", "A1^^^HA^AN", "MRG|7^^^H^MR||A2^^^HA^AN"),
    ("A50", "", "MRG|7^^^H^MR||||V2^^^HV^VN"),
    ("A51", "", "MRG|7^^^H^MR|||||V2^^^HV^VN"),
];

/// One of [`RELINKS`] for the patient 7 in the visit V1.
fn relink((code, account, mrg): (&str, &str, &str), at: u32, who: &str, place: &str) -> String {
    let mut fields: Vec<&str> = who.split('|').collect();
    fields.resize(14, "");
    fields[13] = account;
    let visit = match code {
        "A51" => format!("{}{}V3^^^HV^VN", pv1(place, "V1"), "|".repeat(31)),
        _ => pv1(place, "V1"),
    };
    event(
        code,
        at,
        &format!("{}\n{mrg}\n{visit}", pid("7", &fields.join("|"))),
    )
}

#[test]
fn what_an_event_that_changes_links_says_of_the_patient_is_not_taken_back() {
    for one in RELINKS {
        let mut channel = channel("");
        let code = one.0;
        let admitted = format!("{}\n{}", pid("7", "Doe^Jane||19700101|F"), pv1("W1", "V1"));
        channel.run(&event("A01", 1, &admitted));
        let merged = channel.run(&relink(one, 5, "Roe^Jane||19700101|F|||Elm 5", "W5"));
        assert_eq!(field(&merged, "PID", 5), "Roe^Jane", "{code}");
        assert!(!is_late(&merged), "{code}");
        let late = format!(
            "{}\n{}",
            pid("7", "Doe^Jane||19700101|F|||Fir 3||0228"),
            pv1("W3^3", "V1")
        );
        let late = channel.run(&event("A08", 3, &late));
        assert!(is_late(&late), "{code}");
        assert_eq!(field(&late, "PID", 5), "Roe^Jane", "{code}");
        assert_eq!(field(&late, "PID", 11), "Elm 5", "{code}");
        assert_eq!(field(&late, "PID", 13), "0228", "{code}");
        assert_eq!(field(&late, "PV1", 3), "W5", "{code}");
    }
}

#[test]
fn a_late_event_that_changes_links_goes_on_with_the_newest_values() {
    for policy in ["", ", late: withhold"] {
        for one in RELINKS {
            let mut channel = channel(policy);
            let code = one.0;
            let newer = format!(
                "{}\n{}",
                pid("7", "Roe^Jane||19700101|F|||Elm 5"),
                pv1("W5^5", "V1")
            );
            channel.run(&event("A08", 5, &newer));
            let sent = relink(one, 3, "Doe^Jane||19700101|F|||Fir 3||0228", "W3");
            let late = channel.run(&sent);
            assert!(is_late(&late), "{code}");
            assert_eq!(field(&late, "PID", 5), "Roe^Jane", "{code}");
            assert_eq!(field(&late, "PID", 11), "Elm 5", "{code}");
            assert_eq!(field(&late, "PID", 13), "0228", "{code}");
            assert_eq!(field(&late, "PV1", 3), "W5^5", "{code}");
            // What it is and whom it names is as it was.
            for (segment, number) in [("EVN", 1), ("PID", 3), ("PID", 18), ("PV1", 19)] {
                let line = sent.lines().find(|line| line.starts_with(segment));
                let before = line.unwrap_or_default().split('|').nth(number);
                let now = field(&late, segment, number);
                assert_eq!(now, before.unwrap_or_default(), "{code} {segment}-{number}");
            }
            assert_eq!(lines(&late, "MRG"), [one.2], "{code}");
        }
    }
}

#[test]
fn a_late_event_stays_as_it_is_where_the_site_says_so() {
    let mut channel = channel(", late: keep");
    channel.run(&event("A08", 5, &pid("7", "Roe^Jane||19700101|F")));
    let late = channel.run(&merge("A40", 3, "7", "Doe^Jane||19700101|F", "8"));
    assert!(is_late(&late));
    assert_eq!(field(&late, "PID", 5), "Doe^Jane");
}

#[test]
fn what_a_merge_does_not_say_stays_news() {
    let mut channel = channel("");
    channel.run(&event("A01", 1, &pid("7", "Doe^Jane||19700101|F")));
    channel.run(&merge("A40", 5, "7", NOBODY, "8"));
    let late = channel.run(&event("A08", 3, &pid("7", "Roe^Jane||19700101|F|||Elm 3")));
    assert_eq!(field(&late, "PID", 5), "Roe^Jane");
    assert_eq!(field(&late, "PID", 11), "Elm 3");
    // A late merge that says nothing of the person changes nothing.
    let merged = channel.run(&merge("A40", 2, "7", NOBODY, "9"));
    assert!(!is_late(&merged));
    assert_eq!(field(&merged, "PID", 5), "");
}

#[test]
fn what_is_known_of_the_former_number_is_nothing_that_the_survivor_is_told() {
    let mut channel = channel("");
    channel.run(&event(
        "A01",
        4,
        &pid("8", "Roe^Jane||19700101|F|||Fir 8||0228"),
    ));
    let merged = channel.run(&merge("A40", 5, "7", "Doe^Jane||19700101|F|||Elm 5", "8"));
    assert_eq!(field(&merged, "PID", 11), "Elm 5");
    // From before the merge, and later than what was said of the former number.
    let late = channel.run(&event(
        "A08",
        3,
        &pid("7", "Doe^Jane||19700101|F|||Elm 3||0229"),
    ));
    assert_eq!(field(&late, "PID", 11), "Elm 5");
    assert_eq!(field(&late, "PID", 13), "0229");
}

#[test]
fn an_event_that_names_a_merged_number_says_nothing_of_the_survivor() {
    for at in [3, 8] {
        let mut channel = channel("");
        channel.run(&event("A01", 1, &pid("6", "Doe^Jane||19700101|F|||Elm 1")));
        channel.run(&event(
            "A01",
            2,
            &pid("7", "Doe^Jane||19700101|F|||Fir 2||0228"),
        ));
        channel.run(&merge("A40", 5, "6", NOBODY, "7"));
        let sent = merge("A40", at, "7", "Roe^Jane||19700101|F|||Oak 3||0229", "8");
        let merged = channel.run(&sent);
        assert_eq!(
            lines(&merged, "PID"),
            ["PID|||6^^^H^MR||Doe^Jane||19700101|F|||Elm 1"]
        );
        assert_eq!(lines(&merged, "MRG"), ["MRG|8^^^H^MR"]);
        // Nothing of it is known of the survivor.
        let late = channel.run(&event(
            "A08",
            1,
            &pid("6", "Doe^Jane||19700101|F|||Elm 1||0227"),
        ));
        assert_eq!(field(&late, "PID", 11), "Elm 1");
        assert_eq!(field(&late, "PID", 13), "0227");
    }
    // Beside the survivor's number the former one is one more of theirs.
    let mut channel = self::channel("");
    channel.run(&event("A08", 4, &pid("6", "Doe^Jane||19700101|F|||Elm 1")));
    channel.run(&merge("A40", 5, "6", NOBODY, "7"));
    let both = merge("A40", 3, "7", "Roe^Jane||19700101|F|||Oak 3||0229", "8");
    let both = both.replace("|7^^^H^MR|", "|7^^^H^MR~6^^^H^MR|");
    let line = lines(&channel.run(&both), "PID");
    assert_eq!(line, ["PID|||6^^^H^MR||Doe^Jane||19700101|F|||Elm 1||0229"]);
    // A receiver that keeps the former number is told of that.
    let mut channel = self::channel(", merged: keep");
    channel.run(&merge("A40", 5, "6", "Doe^Jane||19700101|F", "7"));
    let kept = channel.run(&merge("A40", 3, "7", "Roe^Jane||19700101|F", "8"));
    assert_eq!(
        lines(&kept, "PID"),
        ["PID|||7^^^H^MR||Roe^Jane||19700101|F"]
    );
}

#[test]
fn each_patient_of_a_message_is_brought_up_to_date() {
    let mut channel = channel("");
    channel.run(&event("A08", 5, &pid("7", "Roe^Jane||19700101|F|||Elm 7")));
    channel.run(&event("A08", 5, &pid("9", "Poe^Ada||19800101|F|||Elm 9")));
    let groups = format!(
        "{}\nPD1||||old\nMRG|8^^^H^MR\nPV1||N\n{}\nMRG|10^^^H^MR\n{}",
        pid("7", "Doe^Jane||19700101|F||||||0228"),
        pid("9", "Moe^Ada||19800101|F|||Fir 9"),
        pv1("W3", "V9"),
    );
    let late = channel.run(&event("A40", 3, &groups));
    let expected = [
        "PID|||7^^^H^MR||Roe^Jane||19700101|F||||||0228",
        "PID|||9^^^H^MR||Poe^Ada||19800101|F|||Elm 9",
    ];
    assert_eq!(lines(&late, "PID"), expected);
    assert_eq!(lines(&late, "MRG"), ["MRG|8^^^H^MR", "MRG|10^^^H^MR"]);
    let codes = late.findings.iter();
    assert_eq!(codes.filter(|one| one.code == "late-message").count(), 1);
    // And each is remembered for itself.
    let late = format!("{}\nPD1||||older", pid("7", "Doe^Jane||19700101|F"));
    let late = channel.run(&event("A31", 2, &late));
    assert_eq!(late.disposition, Disposition::Filtered);
    let late = format!("{}\n{}", pid("9", "Poe^Ada||19800101|F"), pv1("W1", "V9"));
    let late = channel.run(&event("A01", 1, &late));
    assert_eq!(field(&late, "PV1", 3), "W3");
}

#[test]
fn both_patients_of_a_link_are_brought_up_to_date() {
    for code in ["A24", "A37"] {
        let mut channel = channel("");
        channel.run(&event("A08", 5, &pid("7", "Roe^Jane||19700101|F")));
        let both = |first: &str, second: &str| format!("{}\n{}", pid("7", first), pid("8", second));
        let jane = "Doe^Jane||19700101|F";
        let late = channel.run(&event(code, 3, &both(jane, "Doe^J||19700101|F|||Elm 8")));
        let expected = [
            "PID|||7^^^H^MR||Roe^Jane||19700101|F",
            "PID|||8^^^H^MR||Doe^J||19700101|F|||Elm 8",
        ];
        assert_eq!(lines(&late, "PID"), expected, "{code}");
        // It is what is known of the second one, of whom nothing else was said.
        let before = channel.run(&event(
            "A28",
            1,
            &pid("8", "Dow^J||19700101|F|||Fir 8||0228"),
        ));
        let expected = ["PID|||8^^^H^MR||Doe^J||19700101|F|||Elm 8||0228"];
        assert_eq!(lines(&before, "PID"), expected, "{code}");
        let later = channel.run(&event(code, 2, &both(jane, "Dow^J||19700101|F|||Fir 8")));
        let expected = [
            "PID|||7^^^H^MR||Roe^Jane||19700101|F",
            "PID|||8^^^H^MR||Doe^J||19700101|F|||Elm 8",
        ];
        assert_eq!(lines(&later, "PID"), expected, "{code}");
    }
}

#[test]
fn the_visit_of_a_late_merge_does_not_come_back() {
    let mut channel = channel("");
    let who = "Doe^Jane||19700101|F";
    channel.run(&event(
        "A01",
        1,
        &format!("{}\n{}", pid("7", who), pv1("W1", "V1")),
    ));
    let visits = format!(
        "{}\nMRG|7^^^H^MR||||V2^^^HV^VN\n{}",
        pid("7", who),
        pv1("W5", "V1")
    );
    channel.run(&event("A42", 5, &visits));
    let lines_of = |more: &str| format!("{}\nMRG|8^^^H^MR\n{more}", pid("7", who));
    let late = channel.run(&event("A40", 3, &lines_of(&pv1("W3", "V2"))));
    assert_eq!(lines(&late, "PV1"), ["PV1||N"]);
    assert_eq!(lines(&late, "MRG"), ["MRG|8^^^H^MR"]);
    // A visit without a number is nobody's, and of several none is the visit of the message.
    let bare = channel.run(&event("A40", 4, &lines_of("PV1||I|W4")));
    assert_eq!(field(&bare, "PV1", 3), "W4");
    let two = format!(
        "{}\nMRG|7^^^H^MR||||V1^^^HV^VN\n{}",
        pv1("W4", "V3"),
        pv1("W4", "V1")
    );
    let moved = channel.run(&event("A45", 4, &lines_of(&two)));
    assert!(
        lines(&moved, "PV1")
            .iter()
            .all(|line| line.contains("|W4|"))
    );
}

#[test]
fn what_a_person_has_released_is_known_from_then_on() {
    let mut channel = channel("");
    channel.run(&event("A01", 1, &pid("7", "Doe^Jane||19700101|F")));
    let other = event("A08", 5, &pid("7", "Moe^Mary||19510101|F|||Elm 5"));
    assert_eq!(channel.run(&other).disposition, Disposition::Held);
    let by = ReleasedBy::Decision;
    channel.released = Some(Released { step: 0, by });
    let released = channel.run(&other);
    assert_eq!(field(&released, "PID", 5), "Moe^Mary");
    channel.released = None;
    let late = channel.run(&event("A08", 3, &pid("7", "Moe^Mary||19510101|F|||Fir 3")));
    assert_eq!(late.disposition, Disposition::Filtered);
}

#[test]
fn only_the_numbers_whose_links_go_are_taken_back() {
    let both = "8^^^H^MR~9^^^H^MR";
    for (before, mrg, expected) in [
        // It came to the same place by an event that still holds.
        (Some(("7", "9")), both, "8^^^H^MR"),
        (Some(("7", "8")), both, "9^^^H^MR"),
        (Some(("8", "9")), both, "8^^^H^MR"),
        (Some(("8", "9")), "9^^^H^MR~8^^^H^MR", "9^^^H^MR~8^^^H^MR"),
        // It was somebody else's, and is again.
        (Some(("6", "9")), both, both),
        (Some(("6", "9")), "9^^^H^MR", "9^^^H^MR"),
        (None, both, both),
        // It names nobody, or is the survivor's own.
        (None, "77^^^H^SS~8^^^H^MR", "8^^^H^MR"),
        (None, "7^^^H^MR~8^^^H^MR", "8^^^H^MR"),
    ] {
        let mut channel = channel("");
        for number in ["6", "7", "8", "9"] {
            channel.run(&event("A28", 1, &pid(number, "Doe^Jane||19700101|F")));
        }
        if let Some((into, former)) = before {
            channel.run(&merge("A40", 2, into, NOBODY, former));
        }
        let lines = format!("{}\nMRG|{mrg}", pid("7", NOBODY));
        let sent = event("A40", 3, &lines);
        channel.number = 12;
        let id = channel.run(&sent).id;
        let first = format!("{} mistake", id.derive("match", 0));
        for (number, is_back) in [(13, true), (14, false)] {
            channel.number = number;
            let event = match is_back {
                true => first.clone(),
                // What took it back is taken back.
                false => {
                    let last = hilum_message::MessageId::new(1_700_000_000_000, 13);
                    format!("{} after all", last.derive("match", 0))
                }
            };
            channel.metadata.set(hilum_identity::UNDO, event);
            let undone = channel.run(&sent);
            let said = field(&undone, "MRG", 1)
                .trim_matches('~')
                .replace("~~", "~");
            assert_eq!(said, expected, "{before:?} {mrg}");
            let back = undone.deliveries[0].metadata.get("taken-back").is_some();
            assert_eq!(back, is_back, "{before:?} {mrg}");
        }
    }
}
