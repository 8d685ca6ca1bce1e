//! Numbers of visits and accounts that are in use no more: receivers that were told so never see one again.

use hilum_component::{Disposition, Processed};

use crate::channel::{Channel, outcome};

const PAS: (&str, &str) = (
    "systems/pas.yaml",
    "system: pas\nzone: '+01:00'\nidentifiers:\n  - { authority: H, type: MR }\n  - { authority: HV, type: VN }\n  - { authority: HA, type: AN }\n",
);

fn channel(more: &str) -> Channel {
    Channel::new("hl7v2", &[PAS], &format!("match: {{ system: pas{more} }}"))
}

/// A registration at an hour of the day, in visit and account.
fn adt(event: &str, hour: u32, visit: &str, more: &str) -> String {
    let time = format!("20260101{hour:02}0000");
    format!(
        "MSH|^~\\&|PAS|H|||{time}||ADT^{event}^ADT_A01|{event}{hour}|P|2.5\nEVN|{event}|{time}\n\
         PID|||7^^^H^MR||Doe^Jane||19700101|F{more}\nPV1||I|W{hour}||||||||||||||||{visit}^^^HV^VN\n"
    )
}

fn link(event: &str, hour: u32, mrg: &str, pid_18: &str, visit: &str) -> String {
    let time = format!("20260101{hour:02}0000");
    format!(
        "MSH|^~\\&|PAS|H|||{time}||ADT^{event}|{event}{hour}|P|2.5\nEVN|{event}|{time}\n\
         PID|||7^^^H^MR|||||||||||||||{pid_18}\nMRG|7^^^H^MR{mrg}\nPV1||I|||||||||||||||||{visit}^^^HV^VN\n"
    )
}

fn result(visit: &str, account: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|H|||20260101120000||ORU^R01|R{visit}|P|2.5\n\
         PID|||7^^^H^MR||Doe^Jane||19700101|F||||||||||{account}\n\
         PV1||I|||||||||||||||||{visit}\nOBR|1||F1^LAB|K^K^L|||||||||||||||||||||F\n\
         OBX|1|NM|K^K^L||4|mmol/L|||||F\n"
    )
}

fn findings(processed: &Processed) -> Vec<(&str, &str)> {
    let all = processed.findings.iter();
    all.map(|one| (one.code.as_str(), one.path.as_deref().unwrap_or_default()))
        .collect()
}

/// A field of the only message that goes on.
fn field(processed: &Processed, segment: &str, number: usize) -> String {
    assert_eq!(
        processed.disposition,
        Disposition::Accepted,
        "{processed:?}"
    );
    let text = outcome(processed).concat();
    let mut lines = text.split(['\r', '\n']);
    let line = lines.find(|line| line.starts_with(segment));
    let fields: Vec<&str> = line.unwrap_or_default().split('|').collect();
    let at = if segment == "MSH" { number - 1 } else { number };
    fields.get(at).copied().unwrap_or_default().to_owned()
}

#[test]
fn what_names_a_merged_visit_or_account_is_for_the_one_that_stays() {
    for (more, visit, account) in [
        ("", "V1^^^HV^VN", "A1^^^HA^AN"),
        (", merged: keep", "V2^^^HV^VN", "A2^^^HA^AN"),
    ] {
        let mut channel = channel(more);
        channel.run(&adt("A01", 7, "V1", "||||||||||A1^^^HA^AN"));
        channel.run(&adt("A01", 8, "V2", "||||||||||A2^^^HA^AN"));
        channel.run(&link("A42", 9, "||||V2^^^HV^VN", "", "V1"));
        channel.run(&link("A41", 9, "||A2^^^HA^AN", "A1^^^HA^AN", ""));
        let of_both = channel.run(&result("V2^^^HV^VN", "A2^^^HA^AN"));
        assert_eq!(field(&of_both, "PV1", 19), visit);
        assert_eq!(field(&of_both, "PID", 18), account);
        assert_eq!(
            findings(&of_both),
            [("merged-visit", "PID-18"), ("merged-visit", "PV1-19")]
        );
        // As far as the message says who assigned it.
        let bare = channel.run(&result("V2", "").replace("F1^LAB", "F2^LAB"));
        assert_eq!(Some(&*field(&bare, "PV1", 19)), visit.split('^').next());
    }
}

#[test]
fn a_later_event_of_a_merged_visit_is_one_of_the_visit_that_stays() {
    let mut channel = channel("");
    channel.run(&adt("A01", 7, "V1", ""));
    channel.run(&adt("A01", 8, "V2", ""));
    channel.run(&link("A42", 9, "||||V2^^^HV^VN", "", "V1"));
    let discharged = channel.run(&adt("A03", 10, "V2", ""));
    assert_eq!(field(&discharged, "PV1", 19), "V1^^^HV^VN");
    assert_eq!(field(&discharged, "EVN", 1), "A03");
    // It is known of the visit that stays.
    let late = channel.run(&adt("A02", 9, "V1", ""));
    assert_eq!(late.disposition, Disposition::Filtered);
}

#[test]
fn an_earlier_event_of_a_merged_visit_says_something_of_the_person_alone() {
    let mut channel = channel("");
    channel.run(&adt("A01", 7, "V1", ""));
    channel.run(&link("A42", 9, "||||V2^^^HV^VN", "", "V1"));
    let late = format!(
        "{}DG1|1||X\nAL1|1||PEN\n",
        adt("A01", 8, "V2", "|||Elm 1^^Bonn")
    );
    let late = channel.run(&late);
    assert_eq!(field(&late, "MSH", 9), "ADT^A31^ADT_A05");
    assert_eq!(field(&late, "PID", 11), "Elm 1^^Bonn");
    assert_eq!(field(&late, "AL1", 3), "PEN");
    let text = outcome(&late).concat();
    assert!(!text.contains("V2") && !text.contains("DG1"), "{text}");
    assert!(
        text.contains("\nPV1||N") || text.contains("\rPV1||N"),
        "{text}"
    );
    // Nothing of it is known of the visit that stays.
    let moved = channel.run(&adt("A02", 8, "V1", ""));
    assert_eq!(field(&moved, "PV1", 3), "W8");
    assert_eq!(field(&moved, "PV1", 19), "V1^^^HV^VN");
    // What newer ones have said of the person leaves nothing.
    channel.run(&adt("A08", 11, "V1", "|||Fir 2^^Bonn"));
    let over = channel.run(&adt("A02", 8, "V2", "|||Elm 1^^Bonn"));
    assert_eq!(over.disposition, Disposition::Filtered);
    let why = "its visit was merged into another one since";
    assert!(outcome(&over).concat().contains(why), "{over:?}");
}

#[test]
fn a_visit_with_another_number_is_the_same_visit() {
    let mut channel = channel("");
    channel.run(&adt("A01", 7, "V1", ""));
    channel.run(&adt("A02", 10, "V1", ""));
    channel.run(&link("A50", 11, "||||V1^^^HV^VN", "", "V9"));
    // Late, under the former number: a newer message has said the place.
    let late = channel.run(&adt("A02", 9, "V1", "|||Elm 1^^Bonn"));
    assert_eq!(field(&late, "PV1", 19), "V9^^^HV^VN");
    assert_eq!(field(&late, "PV1", 3), "W10");
    // And where the new number came first.
    let mut channel = self::channel("");
    channel.run(&adt("A01", 7, "V1", ""));
    channel.run(&adt("A02", 10, "V1", ""));
    channel.run(&adt("A08", 12, "V9", "").replace("|W12|", "||"));
    channel.run(&link("A50", 11, "||||V1^^^HV^VN", "", "V9"));
    let late = channel.run(&adt("A02", 9, "V1", "|||Elm 1^^Bonn"));
    assert_eq!(field(&late, "PV1", 3), "W10");
}
