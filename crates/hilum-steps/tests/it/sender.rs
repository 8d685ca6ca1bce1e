use crate::channel::{Channel, Files, problems};

const NORTH: (&str, &str) = (
    "systems/lab-north.yaml",
    "system: lab-north\ngroup: labs\nsends-as: { application: NLAB, facility: NORTH }\n",
);
const ANY_NLAB: (&str, &str) = (
    "systems/lab-east.yaml",
    "system: lab-east\ngroup: labs\nsends-as: { application: NLAB }\n",
);
const OTHER: (&str, &str) = (
    "systems/pas.yaml",
    "system: pas\ngroup: registration\nsends-as: { application: PAS }\n",
);

fn sender_of(header: &str) -> (Option<String>, Option<String>) {
    let mut channel = Channel::new("hl7v2", &[ANY_NLAB, NORTH, OTHER], "sender: labs");
    let processed = channel.run(&format!("MSH|^~\\&|{header}|||||ORU^R01|1|P|2.5\n"));
    let delivery = processed.deliveries.first();
    let sender = delivery.and_then(|delivery| delivery.metadata.get("sender"));
    let sender = sender.map(str::to_owned);
    (
        sender,
        processed.reason.as_ref().map(|reason| reason.text.clone()),
    )
}

#[test]
fn the_system_that_fits_most_exactly_is_the_sender() {
    assert_eq!(sender_of("NLAB|NORTH").0.as_deref(), Some("lab-north"));
    assert_eq!(
        sender_of("NLAB^1.2.3^ISO|NORTH^4^ISO").0.as_deref(),
        Some("lab-north")
    );
    assert_eq!(sender_of("NLAB|SOUTH").0.as_deref(), Some("lab-east"));
}

#[test]
fn who_is_not_of_the_group_is_rejected_without_its_name() {
    for header in ["PAS|NORTH", "|", "nlab|NORTH"] {
        let (sender, reason) = sender_of(header);
        assert_eq!(sender, None, "{header}");
        let reason = reason.expect(header);
        assert!(reason.contains("no system of the group `labs`"), "{reason}");
        assert!(!reason.contains("PAS"), "{reason}");
    }
}

#[test]
fn systems_that_cannot_be_told_apart_are_refused() {
    let twin = (
        "systems/twin.yaml",
        "system: twin\ngroup: labs\nsends-as: { application: NLAB, facility: NORTH }\n",
    );
    let silent = ("systems/silent.yaml", "system: silent\ngroup: labs\n");
    let found = problems("hl7v2", &Files::of(&[NORTH, twin, silent]), "sender: labs");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("does not say as what it sends"),
        "{found:?}"
    );
    assert!(found[1].contains("send as the same"), "{found:?}");
    let none = problems("hl7v2", &Files::of(&[OTHER]), "sender: labs");
    assert_eq!(none, ["group: no system is of the group `labs`"]);
    let xml = problems("xml", &Files::of(&[NORTH]), "sender: labs");
    assert!(xml[0].contains("in HL7 v2 only"), "{xml:?}");
}
