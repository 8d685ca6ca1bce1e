//! The stores of the FHIR server: whether they can be reached and hold together.

use std::path::Path;

use hilum_config::FhirPlan;
use hilum_fhir_server::{Place, StoreClock, StoreError, Survey, survey};

use super::{Report, size, span};
use crate::fhir::{now_ms, places};

/// What each line is about.
const CHECK: &str = "fhir store";
/// The oldest PostgreSQL that a store may be in.
const POSTGRES_OLDEST: i64 = 150_000;
/// A database whose clock differs by more confuses whoever compares times.
const CLOCK_SLACK_MS: i64 = 2_000;
/// A log of a file that is longer is not emptied any more: a reader holds it.
const LOG_BYTES: u64 = 1_000_000_000;

/// Looks at the store of every tenant.
pub(super) fn check(plan: &FhirPlan, site: &Path, data: Option<&Path>, report: &mut Report) {
    if plan.database.is_none() && data.is_none() {
        return;
    }
    // Files are not looked for where a database keeps the stores.
    let places = match places(plan, site, data.unwrap_or(site)) {
        Ok(places) => places,
        Err(error) => {
            let remedy = "correct `fhir: database` of hilum.yaml, or provide what it names";
            return report.fail(CHECK, format!("{error:#}"), remedy);
        }
    };
    let clock = StoreClock::new(now_ms);
    for (name, place) in places {
        let whose = if name.is_empty() {
            "the first store".to_owned()
        } else {
            format!("the store of {name}")
        };
        let name = format!("{whose}, {}", where_it_is(&place));
        match survey(&place, &clock) {
            Ok(found) => told(&name, &found, report),
            Err(error) => failed(&name, &place, &error, report),
        }
    }
}

/// A file, or a schema of a database without user and password.
fn where_it_is(place: &Place) -> String {
    match place {
        Place::Sqlite(path) => path.display().to_string(),
        Place::Postgres(place) => place.name(),
        other => format!("{other:?}"),
    }
}

fn failed(name: &str, place: &Place, error: &StoreError, report: &mut Report) {
    let mut text = format!("{name}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    let remedy = match place {
        Place::Sqlite(_) if text.contains("another kind") => {
            "move it away; bring back a backup of the store, or let the next start make a new one"
        }
        Place::Sqlite(_) if text.contains("ermission denied") || text.contains("ead-only") => {
            "run this as the user of the service; otherwise give that user the right to write to the file and its folder"
        }
        Place::Sqlite(_) => {
            "check the disk; bring back a backup of the file if it is damaged (docs/runbook/damaged-file.md)"
        }
        _ if text.contains("28P01") || text.contains("28000") => {
            "the database refuses the user: compare user and `password` of `fhir: database` with it"
        }
        _ if text.contains("3D000") => {
            "there is no such database: make it (`createdb`), or correct the end of `url`"
        }
        _ if text.contains("certificate") || text.contains("TLS") => {
            "compare `tls` of `fhir: database` with the certificate of the server: its authority, its name, its last day"
        }
        _ => "ask who runs the database whether it is up, and whether this host may reach it",
    };
    report.fail(CHECK, text, remedy);
}

fn told(name: &str, found: &Survey, report: &mut Report) {
    if let Some(server) = &found.server {
        if server.version < POSTGRES_OLDEST {
            let text = format!("{name}: PostgreSQL {}", server.version / 10_000);
            report.fail(CHECK, text, "use PostgreSQL 15 or later");
        }
        if !server.utf8 {
            let text = format!("{name}: the database does not keep text as UTF-8");
            report.fail(CHECK, text, "make a database with the encoding UTF8");
        }
        if !server.may_make && found.version != Some(found.newest) {
            let text = format!("{name}: the user may not make the schema or its tables");
            let remedy =
                "grant CREATE on the database, or make the schema and grant USAGE and CREATE on it";
            report.fail(CHECK, text, remedy);
        }
        if server.ahead_ms.abs() > CLOCK_SLACK_MS {
            let seconds = server.ahead_ms.unsigned_abs() / 1_000;
            let way = if server.ahead_ms > 0 {
                "ahead of"
            } else {
                "behind"
            };
            let text = format!(
                "{name}: the clock of the database is {} {way} ours",
                span(seconds)
            );
            report.warn(CHECK, text, "have one time service keep both clocks");
        }
    }
    let Some(version) = found.version else {
        return report.ok(CHECK, format!("{name} is made by the next start"));
    };
    if version > found.newest {
        let text = format!("{name} was written by a newer program (tables {version})");
        return report.fail(
            CHECK,
            text,
            "run that program, or bring back a backup from before it",
        );
    }
    if let Some((_, log)) = found.bytes
        && log > LOG_BYTES
    {
        let text = format!("{name}: its log has {}", size(log));
        let remedy = "a reader keeps it from being emptied: end programs that have the file open";
        report.warn(CHECK, text, remedy);
    }
    let mut text = format!("{name}: {} changes", found.changes);
    if let Some((bytes, log)) = found.bytes {
        text.push_str(&format!(", {}", size(bytes + log)));
    }
    if version < found.newest {
        text.push_str(&format!(
            ", tables {version}, which the next start brings to {}",
            found.newest
        ));
    }
    match &found.findings {
        Some(findings) if !findings.is_empty() => {
            let text = format!("{text}; it does not hold together: {}", findings.join("; "));
            let remedy = "check the disk; bring back a backup (docs/runbook/damaged-file.md)";
            report.fail(CHECK, text, remedy);
        }
        Some(_) => report.ok(CHECK, format!("{text}; it holds together")),
        None => report.ok(
            CHECK,
            format!("{text}; it is too large to be read whole by the way"),
        ),
    }
}
