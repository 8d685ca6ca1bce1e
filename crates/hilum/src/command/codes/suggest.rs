//! `hilum codes suggest`: draft rows for codes that no table has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hilum_codes::{
    COLUMNS, Candidate, Candidates, Coding, Equivalence, Match, Risk, Row, Sheet, Signed, Status,
    day_of,
};
use hilum_config::Secrets;
use hilum_fhir::systems::names_of_url;
use hilum_terminology::installed::Folder;
use hilum_terminology::table::Flags;
use hilum_terminology::v2_system;
use serde_json::{Value, json};

use super::super::check::load_site;
use super::super::node::Remote;
use super::super::node::show::text;
use super::tables::{Known, replace, told};
use super::unmapped::ask;
use crate::args::Suggest;
use crate::output::{Exit, Output};

/// Who a suggestion is by; no person, so that two people are still needed where two are.
const AUTHOR: &str = "hilum";

/// A code that wants a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    system: String,
    code: String,
    display: String,
}

pub(super) fn run(arguments: &Suggest, output: &Output) -> anyhow::Result<Exit> {
    let unmapped = unmapped(arguments)?;
    let loaded = load_site(&arguments.site, Secrets::Unread, output)?;
    let mut by_table: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for code in &unmapped {
        let table = text(code, "table");
        let wanted = arguments
            .table
            .as_deref()
            .is_none_or(|named| named == table);
        let channel = arguments.channel.as_deref();
        if wanted && channel.is_none_or(|named| named == text(code, "channel")) {
            by_table.entry(table).or_default().push(code);
        }
    }
    if let Some(table) = &arguments.table {
        by_table.entry(table).or_default();
    }
    let against = candidates(&arguments.against, arguments.data.as_deref())?;
    let mut exit = Exit::Done;
    for (table, codes) in by_table {
        let known = Known::of(&loaded.site, table);
        let job = Job {
            arguments,
            table,
            known,
            against: &against,
        };
        match job.run(&codes, output)? {
            Ok(()) => {}
            // Asked for by name it cannot be done; among others it is left out.
            Err(risk) if arguments.table.is_some() => bail!("{}", refusal(table, risk)),
            Err(risk) => {
                output.note(refusal(table, risk));
                exit = Exit::Found;
            }
        }
    }
    Ok(exit)
}

/// Why nothing is suggested.
fn refusal(table: &str, risk: Risk) -> String {
    format!(
        "{table} is about {risk}: nothing is suggested for it, because a similar text can stand for \
         something that harms the patient; two people write and approve its rows"
    )
}

struct Job<'a> {
    arguments: &'a Suggest,
    table: &'a str,
    known: Known,
    against: &'a [Candidate],
}

impl Job<'_> {
    /// Suggests for one table; the error is why it must not.
    fn run(&self, codes: &[&Value], output: &Output) -> anyhow::Result<Result<(), Risk>> {
        let file = self.arguments.site.site.join(self.table);
        let shown = file.display().to_string();
        let bytes = fs::read(&file).with_context(|| format!("cannot read {shown}"))?;
        let sheet = Sheet::read(&bytes).map_err(|mistakes| {
            anyhow::anyhow!("{shown} is not readable:\n{}", told(&shown, &mistakes))
        })?;
        let of_field = codes
            .iter()
            .find_map(|code| Risk::of_field(text(code, "field")));
        if let Some(risk) = self.known.risk(sheet.rows()).or(of_field) {
            return Ok(Err(risk));
        }
        let targets = sheet.rows().iter().map(|row| Candidate {
            system: row.to.system.clone(),
            code: row.to.code.clone(),
            display: row.to.display.clone(),
        });
        let all = Candidates::new(targets.chain(self.against.iter().cloned()));
        let wanted = wanted(codes, &sheet);
        let mut rows = Vec::new();
        for code in &wanted {
            let found = self.best(&all, code);
            if output.json() {
                output.value(&self.as_json(code, &found))?;
            }
            if found.is_empty() {
                output.note(format_args!(
                    "{}: nothing similar to {}",
                    self.table, code.code
                ));
            }
            rows.extend(
                found
                    .iter()
                    .map(|found| row(code, found))
                    .collect::<anyhow::Result<Vec<_>>>()?,
            );
        }
        if self.arguments.append && !rows.is_empty() {
            replace(&file, &sheet.and(&rows))?;
            output.note(format_args!(
                "{} draft rows were added to {shown}; they are not used until they are reviewed and \
                 approved",
                rows.len()
            ));
        } else if !output.json() {
            output.note(format_args!("{}: {} codes", self.table, wanted.len()));
            if !rows.is_empty() {
                let empty = Sheet::read(COLUMNS.as_bytes()).map_err(|mistakes| {
                    anyhow::anyhow!("the columns are wrong: {}", told("", &mistakes))
                })?;
                output.line(String::from_utf8(empty.and(&rows))?.trim_end());
            }
        }
        Ok(Ok(()))
    }

    fn best<'c>(&self, all: &'c Candidates, code: &Wanted) -> Vec<Match<'c>> {
        let limit = usize::from(self.arguments.limit);
        let by_text = all.best(&code.display, limit);
        // A code is often an abbreviation of its text.
        if by_text.is_empty() {
            all.best(&code.code, limit)
        } else {
            by_text
        }
    }

    fn as_json(&self, code: &Wanted, found: &[Match<'_>]) -> Value {
        json!({
            "table": self.table,
            "system": code.system,
            "code": code.code,
            "display": code.display,
            "candidates": found.iter().map(|found| json!({
                "system": found.candidate.system,
                "code": found.candidate.code,
                "display": found.candidate.display,
                "score": f64::from(found.score) / 100.0,
                "why": why(found),
            })).collect::<Vec<_>>(),
        })
    }
}

/// Codes that may be named and that the table has no row for, each once.
fn wanted(codes: &[&Value], sheet: &Sheet) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = codes
        .iter()
        .filter(|code| !text(code, "code").starts_with('('))
        .map(|code| Wanted {
            system: text(code, "system").to_owned(),
            code: text(code, "code").to_owned(),
            display: text(code, "display").to_owned(),
        })
        .filter(|code| {
            let has = |row: &Row| {
                row.status != Status::Retired
                    && row.from.code == code.code
                    && row.from.system == code.system
            };
            !sheet.rows().iter().any(has)
        })
        .collect();
    // Of several senders the longest text says most.
    wanted.sort_by(|a, b| {
        (
            &a.system,
            &a.code,
            std::cmp::Reverse(a.display.len()),
            &a.display,
        )
            .cmp(&(
                &b.system,
                &b.code,
                std::cmp::Reverse(b.display.len()),
                &b.display,
            ))
    });
    wanted.dedup_by(|a, b| a.system == b.system && a.code == b.code);
    wanted
}

fn why(found: &Match<'_>) -> String {
    if found.words.is_empty() {
        "similar letters".to_owned()
    } else {
        format!("same words: {}", found.words.join(" "))
    }
}

fn row(code: &Wanted, found: &Match<'_>) -> anyhow::Result<Row> {
    let today = day_of(u64::try_from(jiff::Timestamp::now().as_millisecond())?);
    Ok(Row {
        line: 0,
        from: Coding {
            system: code.system.clone(),
            code: code.code.clone(),
            display: code.display.clone(),
        },
        to: Coding {
            system: found.candidate.system.clone(),
            code: found.candidate.code.clone(),
            display: found.candidate.display.clone(),
        },
        // The unit of a result is nothing that a similar text says.
        unit: String::new(),
        equivalence: Equivalence::Equivalent,
        status: Status::Draft,
        made: Signed {
            by: AUTHOR.to_owned(),
            on: today,
        },
        reviewed: Signed::default(),
        approved: Signed::default(),
        span: hilum_codes::Span::default(),
        note: format!(
            "suggested {}.{:02}: {}",
            found.score / 100,
            found.score % 100,
            why(found)
        ),
    })
}

/// The codes without a map: of a file, or of the node.
fn unmapped(arguments: &Suggest) -> anyhow::Result<Vec<Value>> {
    let Some(file) = &arguments.unmapped else {
        let remote = Remote::new(&arguments.node.at)?;
        return ask(
            &remote,
            arguments.channel.as_deref(),
            arguments.table.as_deref(),
        );
    };
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .zip(1..)
        .map(|(line, number)| {
            serde_json::from_str(line).with_context(|| {
                format!("{shown}, line {number}: not what `hilum codes unmapped --json` prints")
            })
        })
        .collect()
}

/// Codes to choose from.
fn candidates(named: &[PathBuf], data: Option<&Path>) -> anyhow::Result<Vec<Candidate>> {
    let mut all = Vec::new();
    for one in named {
        let name = one.to_str().filter(|_| !one.is_file());
        match name
            .map(|name| of_system(name, data))
            .transpose()?
            .flatten()
        {
            Some(concepts) => all.extend(concepts),
            None => all.extend(of_file(one)?),
        }
    }
    Ok(all)
}

/// The concepts of a code system that is loaded or ships; `None` if there is none of that name.
fn of_system(name: &str, data: Option<&Path>) -> anyhow::Result<Option<Vec<Candidate>>> {
    let mut url = v2_system(name).unwrap_or_else(|| name.to_owned());
    let mut version = None;
    if let Some(load) = data.and_then(|data| Folder::of(data).load(name).ok()) {
        let first = load.systems.into_iter().next();
        let first = first.with_context(|| format!("{name} has no code system"))?;
        (url, version) = (first.url, first.version);
    }
    let terminology = crate::terms::with_shipped(crate::terms::opened(data)?);
    let system = terminology.system(&url, version.as_deref());
    let Some(system) = system.ok().flatten() else {
        let is_file = name.contains(['/', '.']) && !name.contains("://");
        if is_file {
            return Ok(None);
        }
        bail!(
            "there is no file {name}, and no code system of that name is loaded or ships; \
             `hilum terminology list --data FOLDER` shows what is"
        );
    };
    let Some(table) = system.table() else {
        bail!("the codes of {url} cannot be listed: it has a grammar");
    };
    let written = names_of_url(&url).first().map_or(&*url, |name| *name);
    let used = table.all().filter(|at| {
        let flags = table.flags(*at);
        !flags.has(Flags::INACTIVE) && !flags.has(Flags::ABSTRACT)
    });
    let candidate = |at| {
        Some(Candidate {
            system: written.to_owned(),
            code: table.code(at).to_owned(),
            display: table.display(at)?.to_owned(),
        })
    };
    Ok(Some(used.filter_map(candidate).collect()))
}

fn of_file(file: &Path) -> anyhow::Result<Vec<Candidate>> {
    let shown = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        let resource: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{shown} is not readable as JSON"))?;
        if resource["resourceType"] != "CodeSystem" {
            bail!("{shown} is no CodeSystem");
        }
        let mut found = Vec::new();
        concepts(&resource["concept"], text(&resource, "url"), 0, &mut found)
            .with_context(|| format!("cannot use {shown}"))?;
        return Ok(found);
    }
    hilum_codes::list(&bytes).map_err(|mistake| anyhow::anyhow!("{shown}, {mistake}"))
}

/// Concepts of a code system in one another, at most this deep.
const CONCEPTS_DEEP_MAX: usize = 64;

fn concepts(
    list: &Value,
    system: &str,
    deep: usize,
    found: &mut Vec<Candidate>,
) -> anyhow::Result<()> {
    if deep > CONCEPTS_DEEP_MAX {
        bail!("its concepts lie in one another more than {CONCEPTS_DEEP_MAX} deep");
    }
    for concept in list.as_array().into_iter().flatten() {
        found.push(Candidate {
            system: system.to_owned(),
            code: text(concept, "code").to_owned(),
            display: text(concept, "display").to_owned(),
        });
        concepts(&concept["concept"], system, deep + 1, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concepts_lie_in_one_another_up_to_a_limit() {
        let nested = |deep: usize| {
            let leaf = json!([{ "code": "leaf", "display": "Leaf" }]);
            (0..deep).fold(
                leaf,
                |inner, n| json!([{ "code": n.to_string(), "display": "x", "concept": inner }]),
            )
        };
        let mut found = Vec::new();
        concepts(&nested(CONCEPTS_DEEP_MAX - 1), "urn:s", 0, &mut found).unwrap();
        assert_eq!(found.len(), CONCEPTS_DEEP_MAX);
        assert!(found.iter().all(|one| one.system == "urn:s"));
        assert!(concepts(&nested(CONCEPTS_DEEP_MAX), "urn:s", 0, &mut found).is_err());
    }
}
