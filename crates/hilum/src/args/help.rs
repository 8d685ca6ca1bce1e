//! What `--help` of a command says beside its arguments: how it ends, and examples.
//!
//! One list, so that a command without an example shows in one place; a test reads every example
//! as the program would.

use clap::{Command, CommandFactory};

use super::Arguments;

/// Words of a command, how it ends beside 0, 2 and 3, and examples with what they are for.
type Help = (
    &'static str,
    &'static [(u8, &'static str)],
    &'static [(&'static str, &'static str)],
);

/// What every command has in common.
const ALWAYS: [(u8, &str); 3] = [
    (0, "done"),
    (2, "wrong arguments"),
    (3, "it could not be done"),
];
/// What commands that ask a node have in common.
const NODE: &[(u8, &str)] = &[(4, "no node answers")];

const HELP: &[Help] = &[
    ("init", &[], &[("st-elsewhere", "a site to begin with")]),
    (
        "run",
        &[(1, "the site has errors; nothing was started")],
        &[
            (
                "st-elsewhere --data /var/lib/hilum",
                "with its journal there",
            ),
            (
                "st-elsewhere --data data -e test --watch",
                "as the test environment, following the files",
            ),
        ],
    ),
    (
        "check",
        &[(1, "the site has errors")],
        &[
            (
                "st-elsewhere -e test",
                "with the addresses and names of test",
            ),
            (
                "--no-secrets --json",
                "on a build machine: one problem a line",
            ),
        ],
    ),
    (
        "doctor",
        &[
            (1, "something is to be watched"),
            (2, "something has to be mended"),
        ],
        &[
            (
                "st-elsewhere --data /var/lib/hilum",
                "before going live, and at 3 a.m.",
            ),
            (
                "st-elsewhere --data /var/lib/hilum --connect",
                "goes to every peer too",
            ),
        ],
    ),
    (
        "test",
        &[(1, "a test failed")],
        &[
            ("st-elsewhere --coverage", "and what no test reaches"),
            (
                "st-elsewhere --only lab-results --junit results.xml",
                "one channel, for a build server",
            ),
        ],
    ),
    (
        "inspect",
        &[],
        &[(
            "samples/a01.hl7 --json",
            "status, types, control ids, warnings",
        )],
    ),
    (
        "terminology",
        &[],
        &[
            (
                "import loinc Loinc_2.78.zip --data /var/lib/hilum",
                "as it was downloaded; it answers when it is activated",
            ),
            (
                "import csv codes.csv --url http://hospital.org/lab --version 2026 --data data",
                "codes of your own",
            ),
            (
                "activate loinc-2.78 --data /var/lib/hilum",
                "and the running node takes it at once",
            ),
            (
                "list --data /var/lib/hilum --json",
                "one load a line, for scripts",
            ),
        ],
    ),
    (
        "fhir",
        &[
            (1, "a resource has errors, or was not stored"),
            (4, "no node answers"),
        ],
        &[
            (
                "validate bundles --errors-only",
                "every .json, .xml and .ndjson of a folder",
            ),
            (
                "validate patient.json --json",
                "one resource a line, for scripts",
            ),
            (
                "convert patient.json --to xml",
                "the other form, on the terminal",
            ),
            (
                "export --to backup --types Patient,Observation",
                "a file for each type, as everything was at one moment",
            ),
            (
                "export --to changes --since 2026-11-20T00:00:00Z",
                "what changed, and what was deleted",
            ),
            (
                "import backup",
                "every .ndjson, .ndjson.gz and .ndjson.zst of a folder",
            ),
            (
                "erase Patient/p1 --yes",
                "the patient with everything about them, for good",
            ),
            (
                "search-parameters",
                "what is still building, and what was found to find",
            ),
        ],
    ),
    (
        "send",
        &[(1, "a message was not answered with AA or CA")],
        &[
            (
                "mllp://127.0.0.1:2575 samples/a01.hl7",
                "a sample, with its answer",
            ),
            (
                "mllp://127.0.0.1:2575 --count 10000 --connections 8 --rate 500",
                "synthetic load",
            ),
        ],
    ),
    (
        "receive",
        &[],
        &[
            ("mllp://127.0.0.1:2576", "takes everything, until Ctrl-C"),
            (
                "mllp://127.0.0.1:2576 --ae-every 10 --delay 200ms",
                "slow, and says no to every tenth",
            ),
            (
                "mllp://127.0.0.1:2576 --down-for 1m --down-after 100",
                "goes away once",
            ),
        ],
    ),
    (
        "status",
        NODE,
        &[("", "channels, destinations, what waits and why")],
    ),
    (
        "messages",
        NODE,
        &[
            ("--channel lab-results --since 2h", "of the last two hours"),
            (
                "--since 02:00 --until 02:30 --disposition rejected",
                "of a span of today",
            ),
            ("--delivery dead-letter --json", "for a script"),
            ("--field ward=W3", "by a field of `index:`"),
        ],
    ),
    (
        "tail",
        NODE,
        &[(
            "--channel lab-results --finding unmapped",
            "what no table knows",
        )],
    ),
    (
        "trace",
        NODE,
        &[
            (
                "01KB2N8WZ6Q3V7T5R9XKDM4HPE",
                "its steps, deliveries and attempts",
            ),
            ("01KB2N8WZ6Q3V7T5R9XKDM4HPE --reveal", "with its content"),
        ],
    ),
    (
        "replay",
        &[
            (
                1,
                "a message was refused or rejected, or one of several would bring back an old state",
            ),
            (4, "no node answers"),
        ],
        &[
            ("01KB2N8WZ6Q3V7T5R9XKDM4HPE", "with the plan of now"),
            (
                "01KB2N8WZ6Q3V7T5R9XKDM4HPE --plan old --to ehr",
                "as then, to one destination",
            ),
            (
                "--channel lab-results --since 2h --to ehr",
                "shows which messages that would be",
            ),
            (
                "--channel lab-results --since 2h --to ehr --yes",
                "repeats them, oldest first",
            ),
            (
                "01KB2N8WZ6Q3V7T5R9XKDM4HPE --to archive --force --reason \"the archive wants every version\"",
                "although a newer state was delivered",
            ),
        ],
    ),
    (
        "hold",
        NODE,
        &[("lab-results ehr --reason \"upgrade until 4 a.m.\"", "")],
    ),
    ("resume", NODE, &[("lab-results ehr", "")]),
    ("dead-letters", NODE, &[("lab-results ehr", "")]),
    (
        "requeue",
        &[
            (
                1,
                "one of several would bring back an old state; the others are sent",
            ),
            NODE[0],
        ],
        &[
            (
                "01KB2N8WZ6Q3V7T5R9XKDM4HPE.0 --reason \"the EHR was put right\"",
                "",
            ),
            (
                "01KB2N8WZ6Q3V7T5R9XKDM4HPE.0 --force --reason \"the newer one was taken back\"",
                "although a newer state was delivered",
            ),
        ],
    ),
    (
        "withdraw",
        NODE,
        &[(
            "01KB2N8WZ6Q3V7T5R9XKDM4HPE.0 --reason \"entered by hand\"",
            "",
        )],
    ),
    (
        "critical",
        &[
            (1, "one was not acknowledged in time and still waits"),
            NODE[0],
        ],
        &[("--open", "those that nobody has acknowledged")],
    ),
    (
        "withdrawals",
        &[
            (1, "a destination was sent a result and not its withdrawal"),
            NODE[0],
        ],
        &[
            ("", "messages that withdraw results"),
            ("01KB2N8WZ6Q3V7T5R9XKDM4HPE", "where they went"),
        ],
    ),
    ("holds", NODE, &[("", "")]),
    (
        "release",
        NODE,
        &[(
            "01KB2N8WZ6Q3V7T5R9XKDM4HPE --reason \"identity confirmed\"",
            "",
        )],
    ),
    (
        "reassign",
        NODE,
        &[(
            "01KB2N8WZ6Q3V7T5R9XKDM4HPE --to 4712 --authority HOSP --type MR --reason \"labels were swapped\"",
            "",
        )],
    ),
    (
        "reject",
        NODE,
        &[(
            "01KB2N8WZ6Q3V7T5R9XKDM4HPE --reason \"not our patient\"",
            "",
        )],
    ),
    (
        "reload",
        NODE,
        &[("", "after `hilum check` of the folder that the node runs")],
    ),
    (
        "convert",
        &[(1, "something cannot be converted; the rest is"), NODE[0]],
        &[
            (
                "result.hl7 --zone Europe/Berlin",
                "a Bundle on the standard output, what was not carried over on the standard error",
            ),
            (
                "result.hl7 --site st-elsewhere --explain",
                "with the site's own maps, and which row wrote each element",
            ),
            (
                "samples/ --coverage > bundles.ndjson",
                "every message of a folder, a Bundle a line, and which rows they need",
            ),
            ("a.json --from fhir --to hl7v2", "the way back"),
            ("--query Patient/7 --from fhir --to hl7v2", "of a node's"),
        ],
    ),
    (
        "codes",
        &[
            (1, "a change touches messages, or a table was left out"),
            NODE[0],
        ],
        &[
            (
                "unmapped --channel lab-results",
                "which codes no table has, and how often they came",
            ),
            (
                "suggest st-elsewhere --table tables/local-to-loinc.csv --against loinc.csv",
                "draft rows by the similarity of texts, to be reviewed",
            ),
            (
                "review tables/local-to-loinc.csv --code GLU --target 2345-7 --by \"Ann Example\"",
                "a draft is reviewed",
            ),
            (
                "approve tables/local-to-loinc.csv --code GLU --by \"Bob Example\"",
                "a reviewed row is used from now on",
            ),
            (
                "impact st-elsewhere --table tables/local-to-loinc.csv --since 30d",
                "which past messages the table of now translates otherwise",
            ),
        ],
    ),
    (
        "verify-interface",
        &[
            (1, "something differs, is missing or was not delivered"),
            NODE[0],
        ],
        &[
            (
                "st-elsewhere --channel lab-results --since 1d --each 1",
                "codes and units of the last day, and whether the rest is equal",
            ),
            (
                "st-elsewhere --channel lab-results --sample samples/oru.hl7 --reveal --form html --out report.html",
                "of test messages, with values, to be printed and signed",
            ),
        ],
    ),
    (
        "identity",
        &[(1, "nobody has told of the number"), NODE[0]],
        &[
            (
                "show 4711 --authority HOSP --type MR",
                "its record, who took its place, and the events that changed it",
            ),
            (
                "undo 01KB2N8WZ6Q3V7T5R9XKDM4HPE --reason \"two people after all\"",
                "takes that merge back; what came since stays where it went",
            ),
        ],
    ),
    (
        "compare",
        &[(1, "there are differences"), (4, "no node answers")],
        &[
            (
                "--plan /srv/site --plan . --on lab-results,today",
                "what my change does to the messages of today",
            ),
            (
                "--plan 3f9c2a --plan . --on lab-results,2026-11-20 --reveal",
                "against a kept plan, with values",
            ),
        ],
    ),
    (
        "verify",
        &[
            (1, "something is not as it was written"),
            (4, "no node answers"),
        ],
        &[
            ("", "of the node that runs"),
            ("/var/lib/hilum", "of a folder"),
        ],
    ),
    (
        "backup",
        NODE,
        &[
            ("--to /backup/2026-11-20", "of the node that runs"),
            ("/var/lib/hilum --to /backup/2026-11-20", "of a folder"),
        ],
    ),
    (
        "db",
        NODE,
        &[
            ("list /var/lib/hilum", "files, and what lies in them"),
            (
                "sql /var/lib/hilum \"SELECT disposition, count(*) FROM messages GROUP BY 1\"",
                "reading only",
            ),
            (
                "export --channel lab-results --day today",
                "messages as JSON, content masked",
            ),
        ],
    ),
    (
        "explain",
        &[],
        &[("E0107", "what it means, and how it is written right")],
    ),
    (
        "impact",
        &[(1, "the site has errors; the list may lack something")],
        &[("lis st-elsewhere", "channels, fields, tables, owners")],
    ),
    (
        "docs",
        &[(1, "the site has errors; nothing was written")],
        &[(
            "st-elsewhere --out documentation",
            "index.html and mapping.md",
        )],
    ),
    (
        "schema",
        &[],
        &[
            ("--out .schemas", "for the editor"),
            ("--file channel", "one of them"),
        ],
    ),
    (
        "completions",
        &[],
        &[(
            "bash",
            "write it to ~/.local/share/bash-completion/completions/hilum",
        )],
    ),
];

/// The command line with the help of every command.
pub(crate) fn command() -> Command {
    let mut whole = Arguments::command();
    for help in HELP {
        whole = whole.mut_subcommand(help.0, |command| command.after_help(text(help)));
    }
    whole
}

fn text((name, ends, examples): &Help) -> String {
    let mut codes: Vec<(u8, &str)> = ALWAYS.to_vec();
    codes.retain(|(code, _)| !ends.iter().any(|(own, _)| own == code) || *code == 2);
    codes.extend_from_slice(ends);
    codes.sort_by_key(|(code, _)| *code);
    let codes: Vec<String> = codes
        .iter()
        .map(|(code, means)| format!("{code}: {means}"))
        .collect();
    let mut out = format!("Ends with {}\n\nExamples:", codes.join("; "));
    for (arguments, about) in *examples {
        out.push_str(&format!(
            "\n  hilum {}",
            format!("{name} {arguments}").trim_end()
        ));
        if !about.is_empty() {
            out.push_str(&format!("\n      {about}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line, as a shell splits them; quotes keep a text together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        parts
            .flat_map(|(at, part)| match at % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    #[test]
    fn every_command_has_examples_that_it_understands() {
        let whole = command();
        let named: Vec<&str> = HELP.iter().map(|help| help.0).collect();
        for subcommand in whole.get_subcommands() {
            assert!(named.contains(&subcommand.get_name()), "{subcommand}");
        }
        for (name, _, examples) in HELP {
            assert!(!examples.is_empty(), "{name}");
            for (arguments, _) in *examples {
                let line = words(&format!("hilum {name} {arguments}"));
                let read = command().try_get_matches_from(&line);
                assert!(read.is_ok(), "{line:?}: {}", read.unwrap_err());
            }
        }
    }
}
