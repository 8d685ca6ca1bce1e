//! Tests of channels, as users write them.

use hilum_config::{Folder, TestRun, junit, load, run_tests};

use crate::good::{BOARD, RESULTS, TABLE};
use crate::{EHR, HILUM, LIS, fake, folder, options};

const K: (&str, &str) = (
    "samples/k.txt",
    "MSH-4=LAB\nMSH-9=ORU\nMSH-10=1\nMSH-11=P\nPID-3=42\nOBR-3=A7\nOBX-3=K\nOBX-5=4.10\n",
);

fn run(tests: &str) -> TestRun {
    let dir = folder(&[
        HILUM,
        EHR,
        LIS,
        TABLE,
        RESULTS,
        BOARD,
        K,
        ("channels/results.test.yaml", tests),
    ]);
    let loaded = load(dir.path(), &fake::registry(), &options());
    assert!(
        loaded.plan.is_some(),
        "{}",
        hilum_config::render(&loaded.diagnostics)
    );
    run_tests(
        &Folder::on_disk(dir.path()),
        &loaded,
        &fake::registry(),
        None,
    )
}

/// What is said about tests: diagnostics, then differences.
fn said(tests: &str) -> Vec<String> {
    let run = run(tests);
    let wrong = run.diagnostics.iter().map(|d| {
        let line = d.place.as_ref().map_or(0, |place| place.line);
        format!(
            "{} line {line}: {} => {}",
            d.code,
            d.message,
            d.remedy.as_deref().unwrap_or("-")
        )
    });
    let differences = run.results.iter().flat_map(|result| &result.differences);
    wrong
        .chain(differences.map(|d| format!("{}: expected {}, got {}", d.place, d.expected, d.got)))
        .collect()
}

#[test]
fn what_comes_as_expected_passes_and_is_counted() {
    let run = run("\
test: a potassium reaches the EHR with LOINC
send: samples/k.txt
expect:
  answer: AA
  ehr: { OBX-3: 2823-3, MSH-5: EHR, MSH-6: LAB, OBX-5: 4.1, NTE-3: null }
  board: { MSH-6: null }
  old: not-delivered
  metadata: { accession: A7 }
  state: { seen: { K: yes } }
  deliveries: 2
---
test: an unknown code is flagged
send: |
  MSH-9=ORU
  MSH-10=2
  PID-3=1
  OBX-3=K
set: { OBX-3: ZZ9, MSH-11: T }
expect: { answer: AA, flags: [unmapped OBX-3 ZZ9], ehr: not-delivered, board: delivered }
---
test: a message without result is dropped
send: samples/k.txt
set: { OBX-3: null }
expect: { answer: AA, filtered: OBX-3.exists() }
---
test: an order is refused
send: samples/k.txt
set: { MSH-9: ORM }
expect: { answer: AR, refused: accepts only }
");
    assert_eq!(run.diagnostics, []);
    assert!(
        run.results.iter().all(|result| result.passed()),
        "{:#?}",
        run.results
    );
    assert_eq!(
        (run.results.len(), run.failed(), run.results[1].line),
        (4, 0, 12)
    );
    let channel = &run.coverage.channels["results"];
    assert_eq!(
        (
            channel.messages,
            channel.steps["1 filter"],
            channel.steps["3 set"]
        ),
        (4, 3, 2)
    );
    assert_eq!(
        (channel.steps["ehr/1 set"], channel.destinations["board"]),
        (1, 2)
    );
    let table = &run.coverage.tables["tables/loinc.csv"];
    assert_eq!(
        (
            table.rows.len(),
            table.used.iter().copied().collect::<Vec<_>>()
        ),
        (2, vec![2])
    );
    assert!(run.coverage.channels.contains_key("board"));
}

/// A site that asks, and its test.
fn asked(tests: &str) -> TestRun {
    let dir = folder(&[
        HILUM,
        EHR,
        (
            "systems/lis.yaml",
            "system: lis\naddresses: { wire: 10.0.4.8:2575 }\n",
        ),
        K,
        (
            "channels/asks.yaml",
            "channel: asks\nfrom: { topic: hilum.alerts }\nformat: lines\nto:\n  lab: { wire: { system: lis }, when: MSH-11 = 'P', then: replies }\n  ehr: { wire: { system: ehr } }\n",
        ),
        (
            "channels/replies.yaml",
            "channel: replies\nfrom: { reply: {} }\nformat: lines\norder: \"%original.PID-3\"\nsteps: [ { set: { PID-3: \"%original.PID-3\" } } ]\nto:\n  ehr: { wire: { system: ehr } }\n",
        ),
        ("channels/asks.test.yaml", tests),
        (
            "channels/replies.test.yaml",
            "test: a reply\nsend: |\n  OBX-3=NA\noriginal: samples/k.txt\nexpect: { ehr: { PID-3: 42, OBX-3: NA } }\n---\ntest: a reply to nothing\nsend: |\n  OBX-3=NA\nexpect: { flags: [no-original], ehr: { PID-3: null } }\n",
        ),
    ]);
    let loaded = load(dir.path(), &fake::registry(), &options());
    assert_eq!(hilum_config::render(&loaded.diagnostics), "");
    run_tests(
        &Folder::on_disk(dir.path()),
        &loaded,
        &fake::registry(),
        None,
    )
}

#[test]
fn messages_before_must_come_through_and_name_a_channel_of_the_site() {
    let test = |before: &str| {
        said(&format!(
            "test: a result\nbefore: [{before}]\nsend: samples/k.txt\nexpect: {{ ehr: delivered }}\n"
        ))
    };
    assert_eq!(test("{ send: samples/k.txt }"), [""; 0]);
    assert_eq!(
        test("{ send: samples/k.txt }, { send: samples/k.txt, set: { MSH-9: ADT } }"),
        [
            "before 2: expected accepted, filtered or held, got refused at accept: this channel \
             accepts only MSH-9 = 'ORU'"
        ]
    );
    for (before, expected) in [
        (
            "{ channel: result, send: samples/k.txt }",
            "E0301 line 2: there is no channel `result` => did you mean `results`?",
        ),
        (
            "{ send: samples/k.txt, at: noon }",
            "E0301 line 2: `noon` is no time => write 2026-03-01T08:00:00Z",
        ),
    ] {
        assert_eq!(test(before), [expected]);
    }
    let none = test("{ channel: results }").join("; ");
    assert!(none.contains("send"), "{none}");
}

#[test]
fn a_test_gives_replies_and_expects_what_comes_of_them() {
    let run = asked(
        "test: a question\nsend: samples/k.txt\nreplies: { lab: \"OBX-3=NA\\nPID-3=7\" }\nexpect:\n  lab: delivered\n  then: { lab: { ehr: { PID-3: 42, OBX-3: NA } } }\n---\ntest: wrong\nsend: samples/k.txt\nreplies: { lab: \"OBX-3=NA\\nPID-3=7\" }\nexpect: { then: { lab: { ehr: { OBX-3: K } } } }\n---\ntest: not asked\nsend: samples/k.txt\nset: { MSH-11: T }\nreplies: { lab: \"OBX-3=NA\\nPID-3=7\" }\nexpect: {}\n---\ntest: mistakes\nsend: samples/k.txt\nreplies: { ehr: samples/k.txt }\nexpect: { then: { lab: {} } }\n",
    );
    let told: Vec<_> = run.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "`ehr` hands over no reply",
            "the test gives no reply of `lab`"
        ]
    );
    let differences = run.results.iter().flat_map(|result| &result.differences);
    let differences: Vec<_> = differences
        .map(|d| format!("{}: expected {}, got {}", d.place, d.expected, d.got))
        .collect();
    assert_eq!(
        differences,
        [
            "then lab ehr OBX-3: expected K, got NA",
            "then lab: expected asked, got not asked; accepted"
        ]
    );
    assert_eq!(run.results.iter().filter(|r| r.passed()).count(), 3);
    assert_eq!(run.coverage.channels["replies"].steps["1 set"], 4);
}

#[test]
fn what_differs_is_told_place_by_place() {
    let tests = "\
test: wrong <in> many ways
send: samples/k.txt
expect:
  answer: AE
  filtered: nothing
  flags: [unmapped OBX-3]
  ehr: { OBX-3: K, MSH-5: [EHR, LAB], PID-99: x }
  board: not-delivered
  old: delivered
  metadata: { accession: B8 }
  deliveries: 3
";
    let expected = [
        "answer: expected AE, got AA (accepted)",
        "filtered: expected nothing, got accepted",
        "flags: expected unmapped OBX-3, got nothing",
        "metadata accession: expected B8, got A7",
        "deliveries: expected 3, got 2",
        "ehr OBX-3: expected K, got 2823-3",
        "ehr MSH-5: expected [EHR, LAB], got EHR",
        "ehr PID-99: expected x, got nothing",
        "board: expected not-delivered, got delivered",
        "old: expected delivered, got not delivered; accepted",
    ];
    assert_eq!(said(tests), expected);
    let report = junit(&run(tests));
    assert!(
        report.contains("<testcase classname=\"results\" name=\"wrong &lt;in&gt; many ways\""),
        "{report}"
    );
    assert!(
        report.contains("failures=\"1\"") && report.contains("ehr OBX-3: expected K, got 2823-3")
    );
}

#[test]
fn a_test_that_cannot_be_run_says_where_and_why() {
    let cases = [
        (
            "test: x\nsend: samples/k.text\nexpect: {}\n",
            "E0301 line 2: cannot read `samples/k.text`: there is no such file => did you mean `samples/k.txt`?",
        ),
        (
            "test: x\nsend: samples/k.txt\nexpect: { her: delivered }\n",
            "E0203 line 3: no such destination `her` in the channel results => did you mean `ehr`?",
        ),
        (
            "test: x\nsend: samples/k.txt\nexpect: { ehr: sent }\n",
            "E0104 line 3: this says nothing about a delivery => write delivered, not-delivered, dead-letter, or paths and values",
        ),
        (
            "test: x\nsend: samples/k.txt\nexpect: { ehr: { OBX-3 =: x } }\n",
            "E0112 line 3: not an expression: expression ends too early: expected a value, a path or a function => -",
        ),
        (
            "test: x\nsend: samples/k.txt\nat: noon\nexpect: {}\n",
            "E0301 line 3: `noon` is no time => write 2026-03-01T08:00:00Z",
        ),
        (
            "test: x\nsend: samples/k.txt\nset: { OBX: x }\nexpect: {}\n",
            "E0113 line 3: expected a place such as PID-3 => -",
        ),
        (
            "test: x\nmessage: y\nexpect: {}\n",
            "E0106 line 2: there is no key `message` => write `send:` with a file of the site or the message itself",
        ),
    ];
    for (tests, expected) in cases {
        let said = said(tests);
        assert!(
            said.iter().any(|line| line == expected),
            "{tests}\n{said:#?}"
        );
    }
}
