use hilum_component::{Disposition, Processed, Released, ReleasedBy};

use crate::channel::{Channel, outcome};

const PAS: (&str, &str) = (
    "systems/bill.yaml",
    "system: bill\nzone: '+01:00'\nidentifiers:\n  - { authority: H, oid: 1.2.3, type: MR }\n",
);

fn dft(control: &str, charges: &[&str]) -> String {
    let mut text = format!(
        "MSH|^~\\&|BILL|H|||20260101||DFT^P03|{control}|P|2.5\nEVN||20260101\n\
         PID|||7^^^H^MR||Doe^Jane||19700101|F\n"
    );
    for (charge, n) in charges.iter().zip(1..) {
        text.push_str(&format!("FT1|{n}|{charge}\n"));
    }
    text + "DG1|1||X\n"
}

const BLOOD: &str = "T1||20260101||CG|B||||12.50
NTE|1||drawn
PR1|1||36415";
const XRAY: &str = "T2||20260101||CG|X||||80";

fn codes(processed: &Processed) -> Vec<&str> {
    let all = processed.findings.iter().map(|one| one.code.as_str());
    all.filter(|code| code.starts_with("charge")).collect()
}

#[test]
fn a_charge_is_posted_once() {
    let mut channel = Channel::new("hl7v2", &[PAS], "match: { system: bill }");
    let first = channel.run(&dft("1", &[BLOOD]));
    assert_eq!(first.disposition, Disposition::Accepted);
    assert_eq!(codes(&first), <[&str; 0]>::default());
    // The same one beside a new one, under another set id: it is taken out with what belongs to it.
    let second = channel.run(&dft("2", &[XRAY, BLOOD]));
    assert_eq!(codes(&second), ["charge-repeated"]);
    let text = outcome(&second).concat();
    assert!(
        text.contains("FT1|1|T2|") && text.contains("DG1|1"),
        "{text}"
    );
    assert!(
        !text.contains("|T1|") && !text.contains("NTE") && !text.contains("PR1"),
        "{text}"
    );
    let third = channel.run(&dft("3", &[XRAY]));
    assert_eq!(third.disposition, Disposition::Filtered);
    // A credit is no repeat of its charge, another day or procedure is another charge.
    for other in [
        "T2||20260101||CD|X||||80",
        "T2||20260102||CG|X||||80",
        "T2||20260101||CG|X||||80||||||||||||||71045",
        "T2||20260101||CG|X||||80||||||||||||F9",
    ] {
        let one = channel.run(&dft("4", &[other]));
        assert_eq!(one.disposition, Disposition::Accepted, "{other}");
        assert_eq!(codes(&one), <[&str; 0]>::default());
    }
}

#[test]
fn a_posted_charge_that_comes_with_another_amount_is_for_a_person() {
    let mut channel = Channel::new("hl7v2", &[PAS], "match: { system: bill }");
    channel.run(&dft("1", &[XRAY]));
    let changed = dft("2", &["T2||20260101||CG|X||||90"]);
    let held = channel.run(&changed);
    assert_eq!(held.disposition, Disposition::Held);
    assert!(
        outcome(&held)
            .concat()
            .contains("posted before comes with other content")
    );
    let by = ReleasedBy::Decision;
    channel.released = Some(Released { step: 0, by });
    assert_eq!(channel.run(&changed).disposition, Disposition::Accepted);
}

#[test]
fn a_charge_without_any_number_goes_on_and_is_named() {
    let mut channel = Channel::new("hl7v2", &[PAS], "match: { system: bill }");
    for control in ["1", "2"] {
        let one = channel.run(&dft(control, &["||20260101||CG"]));
        assert_eq!(one.disposition, Disposition::Accepted);
        assert_eq!(codes(&one), ["charge-unnamed"]);
    }
}
