use crate::channel::{Channel, Files, outcome, problems, run};

#[test]
fn parts_share_what_does_not_repeat() {
    let text = "MSH|^~\\&|LIS|H|||||ORU^R01^ORU_R01|1|P|2.5.1\nPID|1||7\nORC|RE\nOBR|1\nOBX|1\nOBX|2\nORC|RE\nOBR|2\nOBX|1\nNTE|1\n";
    let head = "MSH|^~\\&|LIS|H|||||ORU^R01^ORU_R01|1|P|2.5.1\nPID|1||7\n";
    assert_eq!(
        run("hl7v2", "split: '`ORDER_OBSERVATION`'", text),
        [
            format!("{head}ORC|RE\nOBR|1\nOBX|1\nOBX|2\n"),
            format!("{head}ORC|RE\nOBR|2\nOBX|1\nNTE|1\n"),
        ]
    );
    assert_eq!(run("hl7v2", "split: OBX", text).len(), 3);
    assert_eq!(run("hl7v2", "split: NTE", text), [text]);
    assert_eq!(run("hl7v2", "split: ZZZ", text), [text]);
    assert_eq!(
        run(
            "json",
            "split: a",
            r#"{ "h": 1, "a": [ {"x":1}, {"x":2} ], "t": 2 }"#
        ),
        [
            r#"{ "h": 1, "a": [ {"x":1} ], "t": 2 }"#,
            r#"{ "h": 1, "a": [ {"x":2} ], "t": 2 }"#,
        ]
    );
    let xml = "<a>\n <h/>\n <i n='1'/>\n <i>2</i>\n</a>";
    assert_eq!(
        run("xml", "split: a.i", xml),
        [
            "<a>\n <h/>\n <i n='1'/>\n</a>",
            "<a>\n <h/>\n <i>2</i>\n</a>"
        ]
    );
    assert_eq!(
        run("xml", "split: { each: a.i, keep: part }", xml),
        ["<i n='1'/>", "<i>2</i>"]
    );
    let rows = "a;b\r\n1;\"x\r\ny\"\r\n2;z\r\n3;w";
    assert_eq!(
        run("delimited", "split: row", rows),
        ["a;b\n\n1;\"x\n\ny\"\n\n", "a;b\n\n2;z\n\n", "a;b\n\n3;w"]
    );
}

#[test]
fn parts_are_numbered_and_steps_before_count() {
    let steps = "[ { set: { 'row[1].a': \"'9'\" } }, { split: row } ]";
    let mut channel = Channel::new("delimited", &[], steps);
    let processed = channel.run("a,b\n1,2\n3,4\n");
    assert_eq!(outcome(&processed), ["a,b\n1,2\n", "a,b\n9,4\n"]);
    let second = &processed.children[1].deliveries[0].metadata;
    assert_eq!(
        (second.get("split-ordinal"), second.get("split-count")),
        (Some("2"), Some("2"))
    );
}

#[test]
fn bounds_and_mistakes_are_told() {
    let rows = |n: usize| format!("a,b\n{}", "1,2\n".repeat(n));
    let steps = "split: { each: row, parts-max: 3 }";
    assert_eq!(run("delimited", steps, &rows(3)).len(), 3);
    assert_eq!(
        run("delimited", steps, &rows(4)),
        ["rejected: more than 3 parts"]
    );
    assert_eq!(
        run("delimited", "split: row.a", &rows(2)),
        ["rejected: only whole rows can be split off"]
    );
    let text = "MSH|^~\\&|A\nPID|1\n";
    assert_eq!(
        run("hl7v2", "split: MSH | PID", text),
        ["rejected: the header cannot be split off"]
    );
    let site = Files::default();
    assert_eq!(
        problems("hl7v2", &site, "split: { each: OBX, keep: part }"),
        ["keep: only items of JSON, elements of XML and resources of FHIR can stand alone"]
    );
    assert_eq!(
        problems("raw", &site, "split: text"),
        [": messages of the format raw cannot be split"]
    );
}
