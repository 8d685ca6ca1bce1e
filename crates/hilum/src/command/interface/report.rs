//! The report as data, as Markdown and as one page of HTML.
//!
//! Its digest covers what was compared and not when it was printed or by whom, so that the same
//! results give the same digest, and a signed copy can be compared with one made again.

use hilum_config::Block;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::compare::{Verdict, verdicts};
use super::result::{FIELDS, Field, TestResult};

/// What is compared.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Report {
    pub(super) site: String,
    pub(super) channel: String,
    /// `samples` or `node`.
    pub(super) from: &'static str,
    pub(super) plans: Vec<String>,
    /// Values are shown.
    pub(super) revealed: bool,
    pub(super) messages: usize,
    /// Messages that have no results, or are not readable.
    pub(super) passed_over: usize,
    pub(super) tests: Vec<Test>,
}

/// A test code and its results.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Test {
    pub(super) code: String,
    pub(super) system: String,
    pub(super) results: Vec<Compared>,
}

/// One result and what became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Compared {
    pub(super) message: String,
    pub(super) arrived_ms: u64,
    pub(super) rows: Vec<Line>,
}

/// What one side has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Line {
    /// `sent`, the destination, or the store.
    pub(super) who: String,
    /// What else is to be said, such as that a delivery waits.
    pub(super) note: Option<String>,
    pub(super) fields: Vec<Cell>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Cell {
    pub(super) field: &'static str,
    /// Absent where it is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    /// How it stands to what was sent; of what was sent `hidden` or `absent` where it is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<&'static str>,
}

/// How the values of fields are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    All,
    /// Codes and units; of the rest whether it is there and the same.
    Open,
}

impl Show {
    fn value(self, field: Field, text: &str) -> Option<String> {
        if self == Self::All {
            return Some(text.to_owned());
        }
        if !field.is_open() {
            return None;
        }
        // A code that looks like an identifier or a text is no code.
        let is_code = field != Field::Code || hilum_codes::shown(text).is_some();
        Some(if is_code {
            text.to_owned()
        } else {
            format!("({})", text.chars().count())
        })
    }
}

impl Line {
    pub(super) fn sent(result: &TestResult, show: Show) -> Self {
        Self {
            who: "sent".to_owned(),
            note: None,
            fields: FIELDS
                .iter()
                .map(|&field| {
                    let text = result.get(field);
                    let value = show.value(field, text);
                    // Of what is hidden it is told whether there is something.
                    let hidden = value.is_none();
                    let verdict = if text.is_empty() { "absent" } else { "hidden" };
                    Cell {
                        field: field.name(),
                        value,
                        verdict: hidden.then_some(verdict),
                    }
                })
                .collect(),
        }
    }

    pub(super) fn got(who: &str, sent: &TestResult, got: &TestResult, show: Show) -> Self {
        let verdicts = verdicts(sent, got);
        Self {
            who: who.to_owned(),
            note: None,
            fields: FIELDS
                .iter()
                .zip(verdicts)
                .map(|(&field, verdict)| Cell {
                    field: field.name(),
                    value: show.value(field, got.get(field)),
                    verdict: Some(verdict.word()),
                })
                .collect(),
        }
    }

    pub(super) fn note(who: &str, note: impl Into<String>) -> Self {
        Self {
            who: who.to_owned(),
            note: Some(note.into()),
            fields: Vec::new(),
        }
    }

    /// The fields in which somebody has to look.
    fn differences(&self) -> Vec<&'static str> {
        let difference = |cell: &&Cell| {
            [Verdict::Differs, Verdict::Missing, Verdict::Added]
                .iter()
                .any(|verdict| cell.verdict == Some(verdict.word()) && verdict.is_difference())
        };
        let cells = self.fields.iter().filter(difference);
        cells.map(|cell| cell.field).collect()
    }

    fn is_well(&self) -> bool {
        self.note.is_none() && self.differences().is_empty()
    }
}

impl Report {
    /// Every result is everywhere as it was sent.
    pub(super) fn is_well(&self) -> bool {
        let mut results = self.tests.iter().flat_map(|test| &test.results);
        results.all(|result| result.rows.iter().all(Line::is_well))
    }

    /// SHA-256 over the report as JSON, in hexadecimal digits.
    pub(super) fn digest(&self) -> anyhow::Result<String> {
        let digest = Sha256::digest(serde_json::to_vec(self)?);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The report for people, with lines for the signature.
    pub(super) fn blocks(&self, made: &str, reviewer: Option<&str>) -> anyhow::Result<Vec<Block>> {
        let heading = |level, text: &str, anchor: &str| {
            Block::Heading(level, text.to_owned(), anchor.to_owned())
        };
        let mut blocks = vec![heading(
            1,
            &format!("Interface {}", self.channel),
            "interface",
        )];
        let mut facts = vec![
            vec!["Site".to_owned(), self.site.clone()],
            vec!["Channel".to_owned(), self.channel.clone()],
            vec![
                "Messages".to_owned(),
                format!(
                    "{} from {}, {} without results",
                    self.messages,
                    if self.from == "node" {
                        "the journal"
                    } else {
                        "files"
                    },
                    self.passed_over
                ),
            ],
            vec!["Plans".to_owned(), self.plans.join(", ")],
            vec!["Made".to_owned(), made.to_owned()],
            vec!["Digest".to_owned(), self.digest()?],
        ];
        if !self.revealed {
            facts.push(vec![
                "Values".to_owned(),
                "hidden; run again with --reveal over test patients to see them".to_owned(),
            ]);
        }
        blocks.push(Block::Table(vec![String::new(), String::new()], facts));
        blocks.push(heading(2, "Overview", "overview"));
        blocks.push(self.overview());
        for (test, number) in self.tests.iter().zip(1..) {
            let name = format!("{} {}", test.code, test.system);
            blocks.push(heading(2, name.trim_end(), &format!("test-{number}")));
            for result in &test.results {
                blocks.push(Block::Paragraph(format!("Message {}", result.message)));
                blocks.push(result.table());
            }
        }
        blocks.push(heading(2, "Review", "review"));
        let line = || "..............................".to_owned();
        let signature = vec![
            vec![
                "Reviewed by".to_owned(),
                reviewer.map_or_else(line, str::to_owned),
            ],
            vec!["Date".to_owned(), line()],
            vec!["Signature".to_owned(), line()],
            vec!["Digest of what was reviewed".to_owned(), self.digest()?],
        ];
        blocks.push(Block::Table(vec![String::new(), String::new()], signature));
        Ok(blocks)
    }

    fn overview(&self) -> Block {
        let head = ["Code", "System", "Results", "Receivers", "Outcome"];
        let rows = self.tests.iter().map(|test| {
            let lines = || test.results.iter().flat_map(|result| &result.rows);
            let mut who: Vec<&str> = lines()
                .map(|line| line.who.as_str())
                .filter(|who| *who != "sent")
                .collect();
            who.sort_unstable();
            who.dedup();
            let mut wrong: Vec<String> = lines()
                .filter(|line| !line.is_well())
                .map(|line| match &line.note {
                    Some(note) => format!("{}: {note}", line.who),
                    None => format!("{}: {}", line.who, line.differences().join(", ")),
                })
                .collect();
            wrong.sort();
            wrong.dedup();
            vec![
                test.code.clone(),
                test.system.clone(),
                test.results.len().to_string(),
                who.join(", "),
                if wrong.is_empty() {
                    "equal".to_owned()
                } else {
                    wrong.join("; ")
                },
            ]
        });
        Block::Table(head.map(str::to_owned).to_vec(), rows.collect())
    }
}

impl Compared {
    fn table(&self) -> Block {
        let mut head = vec![String::new()];
        head.extend(FIELDS.iter().map(|field| field.name().to_owned()));
        let rows = self.rows.iter().map(|line| {
            let mut cells = vec![line.who.clone()];
            match &line.note {
                Some(note) => {
                    cells.push(note.clone());
                    cells.resize(FIELDS.len() + 1, String::new());
                }
                None => cells.extend(line.fields.iter().map(shown)),
            }
            cells
        });
        Block::Table(head, rows.collect())
    }
}

/// A cell: the value, marked where it is not as it was sent.
fn shown(cell: &Cell) -> String {
    match (&cell.value, cell.verdict) {
        (Some(value), None | Some("same" | "absent")) => value.clone(),
        (Some(value), Some(verdict)) if value.is_empty() => verdict.to_uppercase(),
        (Some(value), Some("mapped")) => format!("{value} (mapped)"),
        (Some(value), Some(verdict)) => format!("{value} ({})", verdict.to_uppercase()),
        (None, None | Some("absent")) => String::new(),
        (None, Some(verdict @ ("same" | "mapped" | "hidden"))) => verdict.to_owned(),
        (None, Some(verdict)) => verdict.to_uppercase(),
    }
}
