//! RxNorm, as the NLM releases it: `RXNCONSO.RRF`, `RXNREL.RRF` and `RXNSAT.RRF`
//! (RxNorm Technical Documentation §12). What RxNorm itself says is taken; what other sources in the
//! same files say has licences of its own and is left out.

use super::Imported;
use super::build::{Identity, digits, say, version_of};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::Lines;
use crate::table::{At, Case, Flags, TableBuilder, Use, ValueKind};

const URL: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const OWN: &str = "RXNORM";
/// Types of names that are other names of a concept that has a better one.
const OTHER_NAMES: [&str; 3] = ["SY", "TMSY", "PSN"];

pub(super) fn read(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    let names = input.need("RXNCONSO.RRF")?;
    let relations = input.find("RXNREL.RRF");
    let facts = input.find("RXNSAT.RRF");
    input.expect(
        [Some(&names), relations.as_ref(), facts.as_ref()]
            .into_iter()
            .flatten(),
    );
    let version = version_of(version, input, release)?;
    let mut table = input.parts.resumed(|| TableBuilder::new(Case::Sensitive));
    input.part(&mut table, "names", &names, |table| {
        name(input, &names, table)
    })?;
    if let Some(relations) = &relations {
        input.part(&mut table, "relations", relations, |table| {
            relate(input, relations, table)
        })?;
    }
    if let Some(facts) = &facts {
        input.part(&mut table, "facts", facts, |table| {
            tell(input, facts, table)
        })?;
    }
    let identity = Identity {
        url: URL,
        version,
        name: "RxNorm",
        title: "RxNorm",
        language: Some("en"),
        properties: &[("TTY", ValueKind::Code), ("NDC", ValueKind::Code)],
    };
    Ok(identity.imported(table))
}

fn name(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    let mut best: Vec<(bool, Box<str>)> = Vec::new();
    rows(input, member, 17, |row| {
        let [code, kind, term] = [0, 12, 14].map(|at| get(row, at));
        if get(row, 11) != OWN {
            return Ok(());
        }
        let at = table.concept(code, None, None)?;
        if best.len() <= at.index() {
            best.resize(at.index() + 1, (false, Box::default()));
        }
        let own = !OTHER_NAMES.contains(&kind);
        // The concept is what its own name says, and current if that is.
        if own {
            say(table, at, "TTY", ValueKind::Code, kind)?;
            let suppressed = matches!(get(row, 16), "O" | "Y" | "E");
            if suppressed {
                table.flag(at, Flags::INACTIVE);
                say(table, at, "SUPPRESS", ValueKind::Code, get(row, 16))?;
            }
        } else {
            let usage = Use {
                system: URL,
                code: kind,
                display: "",
            };
            table.designation(at, Some("en"), Some(usage), term, None)?;
        }
        if let Some(known) = best.get_mut(at.index())
            && (known.1.is_empty() || own && !known.0)
        {
            *known = (own, term.into());
        }
        input.meter.concepts(best.len());
        Ok(())
    })?;
    table.displays(best.into_iter().map(|(_, term)| term))?;
    Ok(())
}

/// The second concept of a row has the relation to the first one.
fn relate(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    rows(input, member, 11, |row| {
        if get(row, 10) != OWN || get(row, 2) != "CUI" {
            return Ok(());
        }
        let found = (table.find(get(row, 4)), table.find(get(row, 0)));
        let (Some(from), Some(to)) = found else {
            return Ok(());
        };
        match get(row, 7) {
            "isa" => table.place(from, to),
            // The same said the other way round.
            "inverse_isa" => table.place(to, from),
            "" => {}
            relation => say(table, from, relation, ValueKind::Code, get(row, 0))?,
        }
        Ok(())
    })
}

fn tell(input: &Input<'_>, member: &Member, table: &mut TableBuilder) -> Result<(), ImportError> {
    let mut last: Option<(String, Option<At>)> = None;
    rows(input, member, 11, |row| {
        let (code, name) = (get(row, 0), get(row, 8));
        if get(row, 9) != OWN {
            return Ok(());
        }
        // Rows of one concept stand together.
        if last.as_ref().is_none_or(|(known, _)| known != code) {
            last = Some((code.to_owned(), table.find(code)));
        }
        let Some(at) = last.as_ref().and_then(|(_, at)| *at) else {
            return Ok(());
        };
        say(table, at, name, ValueKind::String, get(row, 10))
    })
}

fn get<'r>(row: &[&'r str], at: usize) -> &'r str {
    row.get(at).copied().unwrap_or_default()
}

fn rows(
    input: &Input<'_>,
    member: &Member,
    count: usize,
    mut each: impl FnMut(&[&str]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut lines = Lines::open(input, member)?;
    loop {
        let number = lines.number() + 1;
        let Some(text) = lines.next()? else {
            return Ok(());
        };
        let columns: Vec<&str> = text.split('|').collect();
        if columns.len() < count {
            let text = format!("{} columns, {count} are expected", columns.len());
            return Err(ImportError::line(member.file_name(), number, text));
        }
        each(&columns)?;
    }
}

/// The date in `RxNorm_full_01062025.zip`, in the form in which the NLM names versions.
fn release(name: &str) -> Option<String> {
    let rest = name.to_ascii_lowercase();
    let rest = rest.split("rxnorm").nth(1)?;
    digits(rest).find(|run| run.len() == 8).map(str::to_owned)
}
