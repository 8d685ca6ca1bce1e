//! Sites without a mistake.

use hilum_component::{Acknowledge, AlertRule, DestinationKind, Millis, Order, Size, SourceKind};
use hilum_config::{Options, Secrets, load, load_kept, render};

use crate::{EHR, HILUM, LIS, fake, folder, load_files, options, write};

pub const TABLE: (&str, &str) = ("tables/loinc.csv", "code,loinc\nK,2823-3\nNA,2951-2\n");

pub const RESULTS: (&str, &str) = (
    "channels/results.yaml",
    "channel: results
about: Results from the LIS
owner: lab@example
from: { wire: { system: lis, listen: 0.0.0.0:2575 } }
format: lines
accept: MSH-9 = 'ORU'
order: PID-3
index: { accession: OBR-3, visit: PV1-19 }
acknowledge: delivered
answer-after: [ehr]
steps:
  - filter: OBX-3.exists()
  - translate: { field: OBX-3, table: tables/loinc.csv }
  - set:
      MSH-5: \"'EHR'\"   # a constant
to:
  ehr:
    wire: { system: ehr, password: env:EHR_PASSWORD }
    when: MSH-11 = 'P'
    retry: { first: 2s, longest: 5m, give-up-after: 3d }
    steps: [ { set: { MSH-6: MSH-4 } } ]
    priority: iif(OBX-8 = 'HH', 1, 0)
  board:
    topic: results
  old:
    removed: dead-letter
alert:
  - no-message-for: 30m
    during: weekdays 07:00-19:00
  - queue: { destination: ehr, older-than: 10m }
",
);

pub const BOARD: (&str, &str) = (
    "channels/board.yaml",
    "channel: board\nfrom: { topic: results }\nformat: lines\norder: patient\nto:\n  ehr: { wire: { system: ehr } }\n",
);

#[test]
fn everything_that_a_channel_says_arrives_in_the_plan() {
    let loaded = load_files(&[HILUM, EHR, LIS, TABLE, RESULTS, BOARD]);
    assert_eq!(render(&loaded.diagnostics), "");
    let plan = loaded.plan.unwrap();
    assert_eq!(
        (plan.site.as_str(), plan.channels.len()),
        ("st-elsewhere", 2)
    );
    assert_eq!(
        (plan.stop_within, plan.in_flight_max),
        (Millis(30_000), Size(16_000_000))
    );
    let channel = &plan.channels["results"];
    assert_eq!(channel.source.system.as_deref(), Some("lis"));
    assert!(matches!(&channel.order, Order::Rule(rule) if rule.text() == "PID-3"));
    let steps: Vec<&str> = channel.steps.iter().map(|step| &*step.name).collect();
    assert_eq!(steps, ["1 filter", "2 translate", "3 set"]);
    let index: Vec<&str> = channel.index.iter().map(|field| &*field.name).collect();
    assert_eq!(index, ["accession", "visit"]);
    let delivered = Acknowledge::Delivered {
        after: vec!["ehr".into()],
        within: Millis(20_000),
    };
    assert_eq!(channel.acknowledge, delivered);
    let [ehr, board, old] = channel.destinations.as_slice() else {
        panic!("three destinations")
    };
    assert_eq!(ehr.retry.give_up_after, Some(Millis(259_200_000)));
    assert_eq!((ehr.steps.len(), ehr.priority.is_some()), (1, true));
    assert!(matches!(&board.kind, DestinationKind::Topic(topic) if &**topic == "results"));
    assert!(matches!(old.kind, DestinationKind::DeadLetter));
    assert_eq!(old.when.as_ref().map(|rule| rule.text()), Some("false"));
    assert!(matches!(
        channel.alerts[0],
        AlertRule::Silence {
            during: Some(_),
            ..
        }
    ));
    assert!(matches!(
        plan.channels["board"].source.kind,
        SourceKind::Topic(_)
    ));
}

#[test]
fn digests_depend_on_what_is_used_and_on_nothing_else() {
    let files = [HILUM, EHR, LIS, TABLE, RESULTS, BOARD];
    let digests = |changes: &[(&str, &str)]| {
        let dir = folder(&files);
        write(dir.path(), changes);
        let plan = load(dir.path(), &fake::registry(), &options())
            .plan
            .unwrap();
        let (results, board) = (&plan.channels["results"], &plan.channels["board"]);
        let ehr = results.destinations[0].digest;
        (
            plan.digest,
            results.digest,
            board.digest,
            results.source.digest,
            ehr,
        )
    };
    let base = digests(&[]);
    assert_eq!(base, digests(&[]), "the same files in another folder");
    let table = digests(&[("tables/loinc.csv", "code,loinc\nK,1\n")]);
    assert!(table.0 != base.0 && table.1 != base.1);
    assert_eq!((table.2, table.3, table.4), (base.2, base.3, base.4));
    let address = digests(&[(
        "systems/ehr.yaml",
        "system: ehr\naddresses: { wire: 10.0.4.8:2575 }\n",
    )]);
    assert!(address.1 != base.1 && address.2 != base.2 && address.4 != base.4);
    assert_eq!(address.3, base.3, "the source does not use the EHR");
    let comment = digests(&[("channels/board.yaml", &format!("# a comment\n{}", BOARD.1))]);
    assert_ne!(comment.0, base.0, "a plan names the exact files");
    assert_eq!(comment.2, base.2, "a comment restarts no channel");
}

#[test]
fn a_changed_secret_changes_the_digests_of_what_uses_it() {
    let beside = tempfile::tempdir().unwrap();
    let secret = beside.path().join("password");
    let results = RESULTS
        .1
        .replace("env:EHR_PASSWORD", &format!("'file:{}'", secret.display()));
    let dir = folder(&[HILUM, EHR, LIS, TABLE, (RESULTS.0, &results), BOARD]);
    let digests = || {
        let loaded = load(dir.path(), &fake::registry(), &options());
        assert_eq!(render(&loaded.diagnostics), "");
        let plan = loaded.plan.unwrap();
        let results = &plan.channels["results"];
        (
            plan.digest,
            results.destinations[0].digest,
            results.source.digest,
            plan.channels["board"].digest,
        )
    };
    std::fs::write(&secret, "first").unwrap();
    let before = digests();
    assert_eq!(before, digests());
    // A new file in its place, as everything that rotates secrets makes one.
    let next = beside.path().join("next");
    std::fs::write(&next, "other").unwrap();
    std::fs::rename(&next, &secret).unwrap();
    let after = digests();
    assert!(after.0 != before.0 && after.1 != before.1);
    assert_eq!((after.2, after.3), (before.2, before.3));
}

#[test]
fn a_plan_is_made_again_from_the_files_that_were_kept() {
    let dir = folder(&[HILUM, EHR, LIS, TABLE, RESULTS, BOARD]);
    let first = load(dir.path(), &fake::registry(), &options());
    let elsewhere = std::path::Path::new("/nowhere");
    let again = load_kept(
        elsewhere,
        first.snapshot.clone(),
        &fake::registry(),
        &options(),
    );
    assert_eq!(render(&again.diagnostics), "");
    assert_eq!(first.plan.unwrap().digest, again.plan.unwrap().digest);
}

#[test]
fn an_environment_lays_its_addresses_over_the_folder() {
    let production = (
        "systems/ehr.yaml",
        "system: ehr\nproduction: true\naddresses: { wire: 10.0.4.9:2575 }\n",
    );
    let overlay = (
        "environments/test.yaml",
        "environment: test\nsystems:\n  ehr: { production: false, addresses: { wire: 10.9.0.9:2575 } }\nchannels:\n  results: { from: { wire: { listen: 127.0.0.1:9999 } } }\n",
    );
    let dir = folder(&[HILUM, production, LIS, TABLE, RESULTS, BOARD, overlay]);
    let plain = load(dir.path(), &fake::registry(), &options());
    assert!(plain.plan.is_none());
    assert!(
        plain.diagnostics.iter().all(|d| d.code == "E0208"),
        "{}",
        render(&plain.diagnostics)
    );
    let test = Options {
        environment: Some("test".into()),
        ..options()
    };
    let test = load(dir.path(), &fake::registry(), &test);
    assert_eq!(render(&test.diagnostics), "");
    assert_eq!(test.site.systems[0].addresses["wire"], "10.9.0.9:2575");
}

#[test]
fn every_environment_is_checked_where_none_is_named() {
    let good = (
        "environments/test.yaml",
        "environment: test\nsystems:\n  ehr: { addresses: { wire: 10.9.0.9:2575 } }\n",
    );
    let bad = (
        "environments/training.yaml",
        "environment: training\nchannels:\n  result: { from: { wire: { listen: 127.0.0.1:9999 } } }\n",
    );
    let site = [HILUM, EHR, LIS, TABLE, RESULTS, BOARD, good, bad];
    let dir = folder(&site);
    let all = hilum_config::load_all(dir.path(), &fake::registry(), &options());
    assert!(all.plan.is_none());
    let found: Vec<_> = all.diagnostics.iter().collect();
    assert_eq!(found.len(), 1, "{}", render(&all.diagnostics));
    assert!(found[0].message.ends_with("(in the environment training)"));
    let place = found[0].place.as_ref().unwrap();
    assert_eq!(
        (place.file.as_str(), place.line),
        ("environments/training.yaml", 3)
    );
    let named = Options {
        environment: Some("test".into()),
        ..options()
    };
    let named = hilum_config::load_all(dir.path(), &fake::registry(), &named);
    assert_eq!(render(&named.diagnostics), "");
    assert!(named.plan.is_some());
}

#[test]
fn secrets_are_looked_up_unless_nobody_needs_them() {
    let files = [HILUM, EHR, LIS, TABLE, RESULTS, BOARD];
    let missing = Options {
        variables: hilum_config::Variables::Fixed([].into()),
        ..Options::default()
    };
    let loaded = load(folder(&files).path(), &fake::registry(), &missing);
    assert_eq!(
        loaded
            .diagnostics
            .iter()
            .map(|d| d.code)
            .collect::<Vec<_>>(),
        ["E0117"]
    );
    let unread = Options {
        secrets: Secrets::Unread,
        ..missing
    };
    assert!(
        load(folder(&files).path(), &fake::registry(), &unread)
            .plan
            .is_some()
    );
}

#[test]
fn the_editor_schema_knows_every_component() {
    let schema = hilum_config::schema(&fake::registry());
    let channel = &schema["channel"];
    assert_eq!(channel["$defs"]["source-wire"]["description"], "Listens.");
    assert_eq!(
        channel["$defs"]["FromFile"]["properties"]["topic"]["type"],
        "string"
    );
    let filter = &channel["$defs"]["step-filter"]["anyOf"];
    assert_eq!(
        (filter[0]["type"].as_str(), filter[1]["type"].as_str()),
        (Some("string"), Some("object"))
    );
    let text = schema.to_string();
    assert!(!text.contains("x-component") && !text.contains("x-removed"));
    // Every reference leads somewhere.
    for (name, file) in schema.as_object().unwrap() {
        let text = file.to_string();
        for reference in text
            .split("\"$ref\":\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(file.pointer(reference).is_some(), "{name}: {reference}");
        }
    }
}

#[test]
fn every_component_and_every_code_has_a_page() {
    let pages = hilum_config::pages(&fake::registry());
    assert!(pages["diagnostics/E0107.md"].contains("there is no such system"));
    assert!(pages["files/channels.md"].contains("| `step-budget` | duration | `250ms` |"));
    assert!(pages["steps/filter.md"].contains("A bare value stands for `if`."));
    let codes = hilum_config::explanations();
    assert!(
        codes.is_sorted_by(|a, b| a.code < b.code),
        "codes ascend and none is there twice"
    );
    assert!(
        codes
            .iter()
            .all(|known| pages.contains_key(&format!("diagnostics/{}.md", known.code)))
    );
}

#[test]
fn documents_say_what_is_read_written_and_looked_up() {
    let dir = folder(&[HILUM, EHR, LIS, TABLE, RESULTS, BOARD]);
    let loaded = load(dir.path(), &fake::registry(), &options());
    let folder = hilum_config::Folder::on_disk(dir.path());
    let text = hilum_config::document(&loaded.site, &folder, hilum_config::Form::Markdown);
    for line in [
        "# st-elsewhere",
        "| lis |  | lab@example |  |  |",
        "| Found by | accession: OBR-3 |",
        "#### 1 set",
        "| MSH-6 | MSH-4 | MSH-4 |  |",
        "| table | tables/loinc.csv |  | tables/loinc.csv |",
        "ehr over wire, when MSH-11 = 'P'",
        "the topic results",
        "| K | 2823-3 |",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    let page = hilum_config::document(&loaded.site, &folder, hilum_config::Form::Html);
    assert!(
        page.contains("<td>OBX-3.exists()</td>") && page.contains("href=\"#channel-results\""),
        "{page}"
    );
    assert!(!page.contains("sesame"));
}

#[test]
fn a_change_of_a_system_touches_what_hears_of_it() {
    let loaded = load_files(&[HILUM, EHR, LIS, TABLE, RESULTS, BOARD]);
    let impact = hilum_config::impact(&loaded.site, "lis").unwrap();
    let names: Vec<&str> = impact
        .channels
        .iter()
        .map(|channel| channel.name.as_str())
        .collect();
    assert_eq!(names, ["results", "board"]);
    assert_eq!(impact.channels[0].roles, [hilum_config::Role::Sends]);
    assert_eq!(
        impact.channels[1].roles,
        [hilum_config::Role::Through("results".into())]
    );
    assert!(
        impact.channels[0].fields.contains("OBX-3")
            && impact.channels[0].tables.contains("tables/loinc.csv")
    );
    assert_eq!(
        impact.owners.into_iter().collect::<Vec<_>>(),
        ["lab@example"]
    );
    assert_eq!(hilum_config::impact(&loaded.site, "ris"), None);
}

#[test]
fn a_port_is_shared_only_by_sources_whose_paths_differ() {
    let taken = |first: &str, second: &str, out: &str| {
        let channel = |name: &str, from: &str, to: &str| {
            format!(
                "channel: {name}\nfrom: {{ wire: {{ system: lis, {from} }} }}\nformat: lines\nto: {{ e: {{ wire: {{ system: ehr{to} }} }} }}\n"
            )
        };
        let (a, b) = (channel("a", first, ""), channel("b", second, out));
        let loaded = load_files(&[
            HILUM,
            EHR,
            LIS,
            ("channels/a.yaml", &a),
            ("channels/b.yaml", &b),
        ]);
        let found = render(&loaded.diagnostics);
        assert!(found.is_empty() || found.contains("E0202"), "{found}");
        !found.is_empty()
    };
    let (one, two) = (
        "listen: 127.0.0.1:8080, path: /a",
        "listen: 127.0.0.1:8080, path: /b",
    );
    assert!(!taken(one, two, ""));
    assert!(taken(one, one, ""));
    assert!(taken(one, "listen: 0.0.0.0:8080, path: /b", ""));
    let apart = "listen: 127.0.0.1:8081";
    assert!(!taken(one, apart, ", listen: 127.0.0.1:8082"));
    assert!(taken(one, apart, ", listen: 127.0.0.1:8080"));
}
