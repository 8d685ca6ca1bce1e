//! Messages as expressions see them.

use std::sync::Arc;

use hilum_fhirpath::tree::{Dialect, NodeId, Scalar, Tree};
use hilum_hl7v2::message::{Group, GroupStep};
use hilum_hl7v2::{Grouping, Groups, Message, Placement, V2Dialect};

const ORU: &str = "MSH|^~\\&|LAB|||||||1\r\
    PID|1||123^^^HOSP^MR~\"\"||Doe^Jane\r\
    OBR|1|||GLU\r\
    OBX|1|ST|GLU^Glucose||A & B||||||F\r\
    OBX|2|CE|K||a^b\r\
    OBR|2|||NA\r\
    OBX|1|NM|NA||140\r";

/// Groups as a dictionary would find them.
struct Orders;

impl Grouping for Orders {
    fn groups(&self, message: &Message) -> Groups {
        let mut found = Groups::default();
        let mut order = None;
        for segment in message.segments() {
            if segment.has_id("OBR") {
                order = Some(found.groups.len());
                found.groups.push(Group {
                    name: "ORDER_OBSERVATION".into(),
                    parent: None,
                });
            }
            let mut of = order;
            if segment.has_id("OBX") {
                of = Some(found.groups.len());
                found.groups.push(Group {
                    name: "OBSERVATION".into(),
                    parent: order,
                });
            }
            found.of_segment.push(of);
        }
        found
    }
}

impl Placement for Orders {
    fn place(&self, message: &Message, _: &[GroupStep], id: &str) -> Option<usize> {
        (id == "PV1")
            .then(|| message.segments().position(|s| s.has_id("OBR")))
            .flatten()
    }
}

fn message() -> Message {
    let mut message = Message::parse(ORU).unwrap();
    message.set_structures(Arc::new(Orders));
    message
}

fn select(message: &Message, literal: &str, focus: NodeId) -> Vec<NodeId> {
    let (length, compiled) = V2Dialect.literal(literal).unwrap();
    assert_eq!(length, literal.len());
    let mut found = Vec::new();
    message.literal(&compiled, focus, &mut |node| found.push(node));
    found
}

fn text(message: &Message, node: NodeId) -> String {
    match message.value(node) {
        Some(Scalar::String(text)) => text.into_owned(),
        Some(other) => panic!("{other:?}"),
        None => String::from("(composite)"),
    }
}

fn check(literal: &str, expected: &[&str]) {
    let message = message();
    let found = select(&message, literal, message.root());
    let found: Vec<String> = found.into_iter().map(|node| text(&message, node)).collect();
    assert_eq!(found, expected, "{literal}");
}

fn check_location(literal: &str, expected: &[&str]) {
    let message = message();
    let found = select(&message, literal, message.root());
    let found: Vec<String> = found
        .into_iter()
        .map(|node| message.location(node))
        .collect();
    assert_eq!(found, expected, "{literal}");
}

#[test]
fn literals_yield_what_is_there() {
    check("MSH-1", &["|"]);
    check("MSH-2", &["^~\\&"]);
    check("MSH-10", &["1"]);
    check("PID-3.1", &["123", "\"\""]);
    check("PID-3[2]", &["\"\""]);
    check("PID-3[3]", &[]);
    check("PID-3.2", &[]);
    check("PID-5", &["(composite)"]);
    check("PID-5.1.1", &["Doe"]);
    check("PID-5.1.2", &[]);
    check("OBX-5", &["A & B", "(composite)", "140"]);
    check("OBX[2]-5.2", &["b"]);
    check("ZZZ-1", &[]);
}

#[test]
fn groups_narrow_a_path() {
    check("ORDER_OBSERVATION[2]/OBR-4", &["NA"]);
    check("ORDER_OBSERVATION/OBR-4", &["GLU", "NA"]);
    check("ORDER_OBSERVATION[1]/OBSERVATION[2]/OBX-3", &["K"]);
    check("OBSERVATION[3]/OBX-3", &["NA"]);
    check("ORDER_OBSERVATION/OBX-3", &[]);
    check("PATIENT/PID-3.1", &[]);
}

#[test]
fn without_structures_a_path_with_groups_names_nothing() {
    let message = Message::parse(ORU).unwrap();
    assert!(select(&message, "ORDER_OBSERVATION/OBR-4", message.root()).is_empty());
}

#[test]
fn literals_are_seen_from_their_focus() {
    let message = message();
    let orders = select(&message, "`ORDER_OBSERVATION`", message.root());
    assert_eq!(orders.len(), 2);
    let second = orders.last().copied().unwrap();
    let found = select(&message, "OBR-4", second);
    assert_eq!(
        found.iter().map(|n| text(&message, *n)).collect::<Vec<_>>(),
        ["NA"]
    );
    let mut segments = Vec::new();
    message.children(message.root(), "OBX", &mut |node| segments.push(node));
    assert_eq!(segments.len(), 3);
    let found = select(&message, "OBX-3.1", segments[1]);
    assert_eq!(
        found.iter().map(|n| text(&message, *n)).collect::<Vec<_>>(),
        ["K"]
    );
    let repetitions = select(&message, "PID-3", message.root());
    let found = select(&message, "PID-3.4", repetitions[0]);
    assert_eq!(
        found.iter().map(|n| text(&message, *n)).collect::<Vec<_>>(),
        ["HOSP"]
    );
    assert!(select(&message, "PID-3.4", repetitions[1]).is_empty());
}

#[test]
fn nodes_say_where_they_are() {
    check_location("PID-3.1", &["PID-3[1].1", "PID-3[2].1"]);
    check_location("PID-5.2", &["PID-5.2"]);
    check_location("OBX[2]-5.2", &["OBX[2]-5.2"]);
    check_location(
        "`ORDER_OBSERVATION`",
        &["ORDER_OBSERVATION[1]", "ORDER_OBSERVATION[2]"],
    );
}

#[test]
fn children_walk_the_whole_message() {
    fn walk(message: &Message, node: NodeId, depth: usize, out: &mut String) {
        let name = message.name(node);
        out.push_str(&format!("{:depth$}{name}", ""));
        if let Some(Scalar::String(value)) = message.value(node) {
            out.push_str(&format!("={value}"));
        }
        out.push('\n');
        message.all_children(node, &mut |child| walk(message, child, depth + 1, out));
    }
    let mut message = Message::parse("MSH|^~\\&|A\rPID|1||7^^^H&1~8\rOBR|1\rOBX|1\r").unwrap();
    message.set_structures(Arc::new(Orders));
    let mut out = String::new();
    walk(&message, message.root(), 0, &mut out);
    let expected = "\n MSH\n  1=|\n  2=^~\\&\n  3=A\n PID\n  1=1\n  3\n   1=7\n   4\n    1=H\n    2=1\n  3=8\n \
        ORDER_OBSERVATION\n  OBR\n   1=1\n  OBSERVATION\n   OBX\n    1=1\n";
    assert_eq!(out, expected);
}

#[test]
fn a_missing_segment_appears_at_its_place() {
    let mut message = message();
    let (_, literal) = V2Dialect.literal("PV1-2").unwrap();
    let path = literal.compiled.downcast_ref().unwrap();
    message.set(path, "I").unwrap();
    let ids: Vec<_> = message
        .segments()
        .map(|segment| segment.id().into_owned())
        .collect();
    assert_eq!(
        ids,
        ["MSH", "PID", "PV1", "OBR", "OBX", "OBX", "OBR", "OBX"]
    );
}
