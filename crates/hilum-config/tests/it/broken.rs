//! Mistakes, and what people read about them.

use hilum_config::{Diagnostic, explain, render, summary};

use crate::good::TABLE;
use crate::{EHR, HILUM, LIS, load_files};

/// One line for each problem: code, place, offending text, message, remedy.
fn short(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics.iter().filter(|d| d.code != "W0308") {
        assert!(explain(d.code).is_some(), "{} has no explanation", d.code);
        let place = d.place.as_ref().map_or("-".to_owned(), |p| {
            let text = p.text.lines().next().unwrap_or_default();
            format!("{}:{}:{} «{text}»", p.file, p.line, p.column)
        });
        let related: String = d
            .related
            .iter()
            .map(|r| format!(" [{} {}:{}]", r.label, r.place.file, r.place.line))
            .collect();
        let remedy = d.remedy.as_deref().unwrap_or("-");
        out += &format!("{} {place} {} => {remedy}{related}\n", d.code, d.message);
    }
    out
}

/// Checks a site with more files.
pub(crate) fn check(files: &[(&str, &str)], expected: &str) {
    let mut all = vec![HILUM, EHR, LIS, TABLE];
    all.retain(|(path, _)| files.iter().all(|(other, _)| other != path));
    all.extend(files);
    let loaded = load_files(&all);
    let read = short(&loaded.diagnostics);
    assert_eq!(
        read.trim(),
        expected.trim(),
        "\n--- {files:?}\n--- is\n{read}"
    );
    assert_eq!(loaded.plan.is_some(), loaded.errors() == 0);
}

/// Checks a channel that listens and delivers to the EHR, with more keys.
fn check_keys(keys: &str, expected: &str) {
    let text = format!(
        "channel: a\nfrom: {{ wire: {{ system: lis, listen: 127.0.0.1:0 }} }}\nformat: lines\n{keys}"
    );
    let to = if keys.contains("to:") {
        ""
    } else {
        "\nto: { ehr: { wire: { system: ehr } } }\n"
    };
    check(&[("channels/a.yaml", &format!("{text}{to}"))], expected);
}

#[test]
fn a_misspelt_system_is_shown_with_its_line_and_the_one_that_was_meant() {
    let text = "channel: lab-results\nfrom: { wire: { system: lis, listen: 0.0.0.0:2575 } }\nformat: lines\nto:\n  ehr:\n    wire: { system: ehrr }\n";
    let loaded = load_files(&[HILUM, EHR, LIS, ("channels/lab-results.yaml", text)]);
    let expected = "\
error[E0107]: no such system `ehrr`
  ┌─ channels/lab-results.yaml:6:21
  │
6 │     wire: { system: ehrr }
  │                     ^^^^ did you mean `ehr`? (systems/ehr.yaml)
  = see `hilum explain E0107`

1 error in 4 files; nothing was deployed, the running plan is unchanged";
    let shown = render(&loaded.diagnostics) + &summary(&loaded.diagnostics, loaded.files);
    assert_eq!(shown, expected);
    assert!(loaded.plan.is_none());
}

#[test]
fn yaml_that_cannot_be_read() {
    check(
        &[("channels/a.yaml", "")],
        r#"
E0102 channels/a.yaml:1:1 «» the file is empty => -
"#,
    );
    check(
        &[("channels/a.yaml", "channel: a\n\tformat: lines\n")],
        r#"
E0001 channels/a.yaml:1:10 «a» not readable as YAML: while scanning a plain scalar, found a tab => indent with spaces: YAML allows no tabs there
"#,
    );
    check(
        &[("channels/a.yaml", "channel: a\nset: { PID-5[1].7: x }\n")],
        r#"
E0001 channels/a.yaml:2:13 «[» not readable as YAML: while parsing a flow mapping, did not find expected ',' or '}' => put the whole value in double quotes if it holds any of [ ] { } , : # or quotes
"#,
    );
    check(
        &[("channels/a.yaml", "- a\n- b\n")],
        r#"
E0103 channels/a.yaml:1:1 «- a» expected keys and values => write `key: value` lines
"#,
    );
    check_keys(
        "order: PID-3\norder: PID-4\n",
        r#"
E0002 channels/a.yaml:5:1 «order» the key `order` stands twice => keep one of them [first here channels/a.yaml:4]
"#,
    );
    check_keys(
        "about: &x text\nowner: *x\n",
        r#"
E0003 channels/a.yaml:4:8 «&x text» anchors and aliases are not allowed => write the value out where it is used
E0003 channels/a.yaml:5:8 «*x» anchors and aliases are not allowed => write the value out where it is used
"#,
    );
    check_keys(
        "about: !!str text\n",
        r#"
E0003 channels/a.yaml:4:8 «!!str text» tags are not allowed => leave the `!…` out
"#,
    );
    check(
        &[("channels/a.yaml", "channel: a\n---\nchannel: b\n")],
        r#"
E0102 channels/a.yaml:1:1 «channel» the key `format` is missing => `format`: The format of its messages: `hl7v2`, or with settings `{ delimited: { … } }`
W0311 channels/a.yaml:1:1 «channel» the channel has no destination: its messages are kept and go nowhere => write `to: { NAME: { COMPONENT: … } }`
E0001 channels/a.yaml:3:1 «channel: b» the file holds more than one document => leave the `---` out
"#,
    );
}

#[test]
fn keys_and_values_that_do_not_fit() {
    check_keys(
        "acknowlege: received\n",
        r#"
E0101 channels/a.yaml:4:1 «acknowlege» unknown key `acknowlege` => did you mean `acknowledge`?
"#,
    );
    check_keys(
        "acknowledge: sent\n",
        r#"
E0104 channels/a.yaml:4:14 «sent» `sent` is not one of the values that are known here => known values: processed, received, delivered
"#,
    );
    check_keys(
        "acknowledge: [received]\n",
        r#"
E0103 channels/a.yaml:4:14 «[received]» expected one of processed, received, delivered => -
"#,
    );
    check_keys(
        "destinations: {}\nfilter: x\n",
        r#"
E0106 channels/a.yaml:4:1 «destinations» there is no key `destinations` => write `to:` with a name and a component for each
E0106 channels/a.yaml:5:1 «filter» there is no key `filter` => write `accept: EXPRESSION` for what is refused, or a step `- filter: EXPRESSION` for what is dropped
"#,
    );
    check_keys(
        "steps: { filter: OBX-3 }\n",
        r#"
E0103 channels/a.yaml:4:8 «{ filter: OBX-3 }» expected a list, found a map => write one `- ` line for each, or [a, b]
"#,
    );
    check_keys(
        "step-budget: 250\n",
        r#"
E0110 channels/a.yaml:4:14 «250» not a duration => expected a duration with its unit, such as 250ms, 5s, 10m, 3h or 2d
"#,
    );
    check_keys(
        "resend: { within: 10 minutes, max: -5 }\n",
        r#"
E0110 channels/a.yaml:4:19 «10 minutes» not a duration => expected a duration with its unit, such as 250ms, 5s, 10m, 3h or 2d
E0105 channels/a.yaml:4:36 «-5» the number is out of range: it must be at least 0 => -
"#,
    );
    check_keys(
        "order: patients\n",
        r#"
E0211 channels/a.yaml:4:8 «patients» no such order domain `patients` => did you mean `patient`?
"#,
    );
    check_keys(
        "format: lnes\n",
        r#"
E0002 channels/a.yaml:4:1 «format» the key `format` stands twice => keep one of them [first here channels/a.yaml:3]
"#,
    );
    check_keys(
        "index: { Accession No: OBR-3 }\n",
        r#"
E0119 channels/a.yaml:4:10 «Accession No» `Accession No` cannot be a name => small letters, digits, - and ., beginning with a letter or digit, at most 64 characters
"#,
    );
    check_keys(
        "charset: KOI8\n",
        r#"
E0118 channels/a.yaml:4:10 «KOI8» no such character set `KOI8` => -
"#,
    );
    check(
        &[(
            "channels/a.yaml",
            "channel: a\nfrom:\n  wire: { system: lis, listen: 127.0.0.1:0, conections: 3 }\n  filee: {}\n  system: lis\nto: { ehr: { wire: {} } }\n",
        )],
        r#"
E0102 channels/a.yaml:1:1 «channel» the key `format` is missing => `format`: The format of its messages: `hl7v2`, or with settings `{ delimited: { … } }`
E0101 channels/a.yaml:3:45 «conections» unknown key `conections` => did you mean `connections`?
E0101 channels/a.yaml:4:3 «filee» unknown key `filee` => -
E0101 channels/a.yaml:5:3 «system» unknown key `system` => write it below `wire`, whose setting it is
E0102 channels/a.yaml:6:20 «{}» the key `system` is missing => -
"#,
    );
    check(
        &[(
            "channels/a.yaml",
            "channel: a\nformat: lines\nfrom: { wire: { system: lis, listen: 127.0.0.1:0, connections: 0 } }\nto: {}\n",
        )],
        r#"
W0311 channels/a.yaml:1:1 «channel» the channel has no destination: its messages are kept and go nowhere => write `to: { NAME: { COMPONENT: … } }`
E0105 channels/a.yaml:3:64 «0» the number is out of range: it must be at least 1 => -
"#,
    );
    check(
        &[(
            "hilum.yaml",
            "name: x\nadmin: 0.0.0.0:26600\nin-flight-max: 16 mb\n",
        )],
        r#"
E0102 hilum.yaml:1:1 «name» the key `site` is missing => `site`: The name of the site
E0106 hilum.yaml:1:1 «name» there is no key `name` => write `site: NAME`
E0111 hilum.yaml:3:16 «16 mb» not a size => expected a size with its unit, such as 64B, 256kB, 10MB or 4GB
"#,
    );
}

#[test]
fn components_and_their_own_words() {
    check_keys(
        "steps:\n  - filtre: OBX-3\n  - {}\n  - filter: OBX-3\n    set: {}\n",
        r#"
E0108 channels/a.yaml:5:5 «filtre» no such step `filtre` => did you mean `filter`?
E0109 channels/a.yaml:6:5 «{}» no step is named => name one of: filter, route, set, translate
E0109 channels/a.yaml:8:5 «set» both `filter` and `set` are named where one step fits => give each an entry of its own [the other channels/a.yaml:7]
"#,
    );
    check_keys(
        "steps:\n  - filter: OBX-3 =\n  - filter: (OBX-3 = 'K'\n  - set: { MSH-5: EHR, PID: \"'x'\" }\n",
        r#"
E0112 channels/a.yaml:5:20 «» not an expression: expression ends too early: expected a value, a path or a function => paths and functions of FHIRPath; a text constant is written "'EHR'"
E0112 channels/a.yaml:6:25 «» not an expression: expression ends too early: expected `)` => paths and functions of FHIRPath; a text constant is written "'EHR'"
W0309 channels/a.yaml:7:19 «EHR» `EHR` is read as the name of an element, not as text => a text constant is written "'EHR'"
E0113 channels/a.yaml:7:24 «PID» `PID` is no place to write to: expected a place such as PID-3 => -
"#,
    );
    check_keys(
        "steps:\n  - filter: \"OBX-3 = 'K' and\"\n",
        r#"
E0112 channels/a.yaml:5:29 «» not an expression: expression ends too early: expected a value, a path or a function => paths and functions of FHIRPath; a text constant is written "'EHR'"
"#,
    );
    check_keys(
        "steps:\n  - translate: { field: OBX-3, table: tables/loink.csv }\n  - translate: { field: OBX-3, table: ../x.csv }\n",
        r#"
E0114 channels/a.yaml:5:39 «tables/loink.csv» cannot read `tables/loink.csv`: there is no such file => did you mean `tables/loinc.csv`?
E0115 channels/a.yaml:6:39 «../x.csv» cannot read `../x.csv`: it lies outside the site's folder => name a file of the site's folder, such as tables/codes.csv
"#,
    );
    check(
        &[
            ("tables/empty.csv", "code,other\n"),
            (
                "channels/a.yaml",
                "channel: a\nfrom: { wire: { system: lis, listen: 127.0.0.1:0 } }\nformat: lines\nsteps:\n  - translate: { field: OBX-3, table: tables/empty.csv }\nto: { ehr: { wire: { system: ehr } } }\n",
            ),
        ],
        r#"
W0313 channels/a.yaml:5:39 «tables/empty.csv» the table has no rows => add some
"#,
    );
    check_keys(
        "to: { ehr: { wire: { system: ehr, password: hunter2 } } }\n",
        r#"
E0116 channels/a.yaml:4:45 «» a secret stands here in clear text => write env:NAME or file:PATH, change the secret, and remove it from the folder's history
"#,
    );
    check_keys(
        "to: { ehr: { wire: { system: ehr, password: env:NOT_THERE } } }\n",
        r#"
E0117 channels/a.yaml:4:45 «env:NOT_THERE» the secret `env:NOT_THERE` is not there: the environment variable NOT_THERE is not set => provide it to the program, or correct the reference
"#,
    );
    check_keys(
        "to: { ehr: { wire: { system: ehr, framing: { bare: { end: ab } } } } }\n",
        r#"
E0118 channels/a.yaml:4:59 «ab» the end must be one character => write ;
"#,
    );
    check_keys(
        "to: { ehr: { wire: { system: ehr, framing: fremed } } }\n",
        r#"
E0104 channels/a.yaml:4:44 «fremed» `fremed` is not one of the values that are known here => did you mean `framed`?
"#,
    );
    check_keys(
        "to: { ehr: { wire: { system: ehr, framing: { bare: { ent: a } } } } }\n",
        r#"
E0101 channels/a.yaml:4:54 «ent» unknown key `ent` => did you mean `end`?
"#,
    );
    check_keys(
        "to: { lis: { wire: { system: lis } } }\n",
        r#"
E0118 channels/a.yaml:4:30 «lis» the system `lis` has no address for wire => add `addresses: { wire: HOST:PORT }`
"#,
    );
    check_keys(
        "accept: NTE-3 = 'x' and PV1-2 != 'I'\n",
        r#"
W0305 channels/a.yaml:4:9 «NTE-3 = 'x'» `NTE-3` may yield several values, `=` compares all => write `NTE-3.exists($this = …)` or add an index
W0306 channels/a.yaml:4:25 «PV1-2 != 'I'» `PV1-2` may be absent, and the condition then is false => write `(PV1-2 = …).not()` or test `PV1-2.exists()` too
"#,
    );
}

#[test]
fn parts_that_do_not_agree_with_each_other() {
    check_keys(
        "acknowledge: delivered\n",
        r#"
E0123 channels/a.yaml:4:14 «delivered» `acknowledge: delivered` does not say which destinations the answer waits for => write `answer-after: [ehr]`
"#,
    );
    check_keys(
        "answer-after: [her]\n",
        r#"
E0123 channels/a.yaml:4:1 «answer-after» the answer does not wait for destinations => write `acknowledge: delivered`, or leave it out
E0203 channels/a.yaml:4:16 «her» no such destination `her` in this channel => did you mean `ehr`?
"#,
    );
    check_keys(
        "to:\n  ehr: { wire: { system: ehr }, then: b, was: ehr, required: true, retry: { first: 1m, longest: 2s } }\n",
        r#"
E0204 channels/a.yaml:5:39 «b» no such channel `b` => known channels: a
E0212 channels/a.yaml:5:47 «ehr» the queue of `ehr` cannot be taken over => `was:` names a destination that is no longer there, and only once [it is used here channels/a.yaml:5]
W0312 channels/a.yaml:5:52 «required» `required` has no effect on a destination without steps of its own => leave it out; `acknowledge: delivered` waits for delivery
E0124 channels/a.yaml:5:97 «2s» the longest delay is shorter than the first, 1m => write at least 1m
"#,
    );
    check(
        &[
            (
                "channels/a.yaml",
                "channel: a\nfrom: { topic: hilum.alerts }\nformat: lines\naccept: \"%original.PID-3 = 'x'\"\nto: { t: { topic: x, then: c }, e: { wire: { system: ehr }, then: c } }\n",
            ),
            (
                "channels/b.yaml",
                "channel: b\nfrom: { topic: x }\nformat: { lines: {} }\nto: { e: { wire: { system: ehr }, then: c } }\n",
            ),
            (
                "channels/c.yaml",
                "channel: c\nfrom: { reply: {} }\nformat: lines\naccept: \"%original.PID-3.exists() and %request.exists()\"\nto: { e: { wire: { system: ehr } } }\n",
            ),
            (
                "channels/d.yaml",
                "channel: d\nfrom: { reply: {} }\nformat: lines\nto: { e: { wire: { system: ehr } } }\n",
            ),
        ],
        r#"
E0112 channels/a.yaml:4:10 «%original» not an expression: unknown variable => there are %meta
E0214 channels/a.yaml:5:28 «c» a topic gives no reply => let the channel that subscribes ask
E0214 channels/b.yaml:4:41 «c» the channel `c` gets replies to messages of two formats => `%original` has one format: hand over to a channel of its own [asked here too channels/a.yaml:5]
E0112 channels/c.yaml:4:39 «%request» not an expression: unknown variable => there are %meta, %original
W0302 channels/d.yaml:2:9 «reply» no channel hands replies over to `d` => write `then: d` beside the destination that is asked
"#,
    );
    check_keys(
        "to:\n  ehr: { wire: { system: ehr }, steps: [ { route: {} } ] }\n  flags: { wire: { system: ehr } }\n",
        r#"
E0213 channels/a.yaml:5:44 «route» the step `route` cannot stand among a destination's own steps => `route` chooses between destinations: put it among the channel's steps, or use `when:`
E0119 channels/a.yaml:6:3 «flags» `flags` cannot be the name of a destination => the word has a meaning in tests; choose another
"#,
    );
    check_keys(
        "to: { ehr: { when: OBX-3.exists() } }\n",
        r#"
E0109 channels/a.yaml:4:14 «when» no destination is named => name one of: topic, wire
"#,
    );
    check_keys(
        "to: { t: { topic: results } }\nalert:\n  - queue: { destination: ehr }\n  - no-message-for: 5m\n    during: workdays\n  - during: daily 00:00-24:00\n",
        r#"
W0301 channels/a.yaml:4:19 «results» no channel subscribes to the topic `results` => -
E0102 channels/a.yaml:6:5 «queue: { destination: ehr }» the rule says nothing about the queue => write `older-than: 10m` or `longer-than: 1000`
E0203 channels/a.yaml:6:27 «ehr» no such destination `ehr` in this channel => its destinations: t
E0122 channels/a.yaml:8:13 «workdays» these are no hours of the week => write days, hours and if need be a zone: `weekdays 07:00-19:00`, `mon-sat 06:00-22:00 Europe/Berlin`
E0109 channels/a.yaml:9:5 «during: daily 00:00-24:00» a rule has either `no-message-for`, `queue` or `disk` => write one list item for each rule
"#,
    );
    check_keys(
        "to: { t: { topic: results } }\nalert:\n  - no-message-for: 5m\n    during: daily 00:00-24:00 Europe/Nowhere\n  - disk: { free-below: 5GB }\n",
        r#"
W0301 channels/a.yaml:4:19 «results» no channel subscribes to the topic `results` => -
E0122 channels/a.yaml:7:13 «daily 00:00-24:00 Europe/Nowhere» this machine knows no time zone `Europe/Nowhere` => write it as in the IANA time zone database, such as `Europe/Berlin`; if it is right, install the system's time zone data (`tzdata`)
E0109 channels/a.yaml:8:5 «disk: { free-below: 5GB }» the disk is the site's and not the channel's => write the rule in alerts.yaml
"#,
    );
    check_keys(
        "to: { t: { topic: hilum.alerts } }\n",
        r#"
E0206 channels/a.yaml:4:19 «hilum.alerts» `hilum.alerts` belongs to the engine => publish on a topic of your own
"#,
    );
    check(
        &[
            (
                "channels/a.yaml",
                "channel: a\nfrom: { topic: y }\nformat: lines\nto: { t: { topic: x } }\n",
            ),
            (
                "channels/b.yaml",
                "channel: b\nfrom: { topic: x }\nformat: lines\nto: { t: { topic: y, then: c } }\n",
            ),
            (
                "channels/c.yaml",
                "channel: c\nfrom: { topic: z }\nformat: lines\nto: { t: { topic: q } }\n",
            ),
        ],
        r#"
E0206 channels/b.yaml:4:19 «y» messages would go round: a -> b -> a => let one of the channels hand over under another topic [by way of this channels/a.yaml:4]
E0207 channels/b.yaml:4:28 «c» the channel `c` takes no replies => let its source be `from: { reply: {} }` [its source channels/c.yaml:2]
E0214 channels/b.yaml:4:28 «c» a topic gives no reply => let the channel that subscribes ask
W0302 channels/c.yaml:2:16 «z» no channel publishes on the topic `z` => topics with publishers: q, x, y
W0301 channels/c.yaml:4:19 «q» no channel subscribes to the topic `q` => topics with subscribers: x, y, z
"#,
    );
    check(
        &[
            (
                "channels/a.yaml",
                "channel: b\nfrom: { wire: { listen: 127.0.0.1:26600 } }\nformat: lines\nto: { e: { wire: { system: ehr } } }\n",
            ),
            ("channels/c.yml", "channel: c\n"),
            ("environments/x.yaml", "environment: x\n"),
            (
                "hilum.yaml",
                "site: s\nadmin: 127.0.0.1:26600\nenvironment: y\n",
            ),
        ],
        r#"
E0201 channels/a.yaml:1:10 «b» the name `b` is not that of the file => write `channel: a`, or rename the file to b.yaml
W0303 channels/a.yaml:2:9 «wire» this source names no system => write `system: NAME` below `wire`, so that its owner, habits and `hilum impact` are known
E0202 channels/a.yaml:2:25 «127.0.0.1:26600» the port 26600 is taken => choose another port, or let one channel route to several destinations [by this listener hilum.yaml:2]
W0310 channels/c.yml:1:1 «» the file is not read => let its name end in .yaml
E0209 hilum.yaml:3:14 «y» no such environment `y` => known environments: x
"#,
    );
    check(
        &[(
            "systems/ehr.yaml",
            "system: her\naddresses: { wire: [1] }\nsettings: { http: { password: hunter2, tls: { key-password: file:nowhere } } }\nanswers: [ { code: AE, means: again } ]\n",
        )],
        r#"
E0201 systems/ehr.yaml:1:9 «her» the name `her` is not that of the file => write `system: ehr`, or rename the file to her.yaml
E0103 systems/ehr.yaml:2:20 «[1]» expected a text, found a list => -
E0116 systems/ehr.yaml:3:31 «» a secret stands here in clear text => write env:NAME or file:PATH, change the secret, and remove it from the folder's history
E0117 systems/ehr.yaml:3:61 «file:nowhere» the secret `file:nowhere` is not there: there is no such file => provide it to the program, or correct the reference
E0104 systems/ehr.yaml:4:31 «again» `again` is not one of the values that are known here => known values: retry, reject, halt
"#,
    );
    check_keys(
        "to: { e: { wire: { system: ehr } }, f: { removed: drain }, g: { wire: { system: ehr }, on-removed: drain } }\n",
        r#"
E0109 channels/a.yaml:4:42 «removed» no destination is named => name one of: topic, wire
E0106 channels/a.yaml:4:88 «on-removed» there is no key `on-removed` => write `removed: drain` or `removed: dead-letter`
"#,
    );
}

#[test]
fn lists_of_a_system_that_cannot_be_so() {
    check(
        &[(
            "systems/pas.yaml",
            "system: pas\nlists:\n  AL1: { says: actions }\n  NK1: { says: actions }\n  PR1: { says: snapshot, empty-in: [A08] }\n  OBX: { says: delta, empty-in: [ADT^A08] }\n  IAM: { says: actions }\n",
        )],
        r#"
E0129 systems/pas.yaml:4:16 «actions» NK1 has no action code => write `says: snapshot` if each message has the whole list, else leave it out
E0129 systems/pas.yaml:5:37 «A08» this is no type of messages => write code and event as MSH-9 has them, such as `ADT^A08`
E0129 systems/pas.yaml:6:33 «[ADT^A08]» `empty-in` is of a list that is a snapshot => write `says: snapshot`, or leave `empty-in` out
E0106 systems/pas.yaml:7:3 «IAM» there is no key `IAM` => IAM-6 says what becomes of each allergy: declare `AL1: { says: actions }`
"#,
    );
}
