//! `hilum convert`

mod input;
mod rows;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use hilum_convert::{
    Arrived, BundleType, Converted, Maps, Original, Problems, Reason, Settings, Zone, derived_id,
    to_fhir,
};
use hilum_fhir::{Style, json as fhir_json};
use hilum_hl7v2::Message;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::gather::gather;
use crate::args::{BundleForm, Convert, ConvertForm, KeptForm};
use crate::output::{Exit, Output};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &Convert, output: &Output) -> anyhow::Result<Exit> {
    if (arguments.from, arguments.to) != (ConvertForm::Hl7v2, ConvertForm::Fhir) {
        bail!("only --from hl7v2 --to fhir is converted");
    }
    let overlay = match (&arguments.maps, &arguments.site) {
        (Some(folder), _) => input::map_files(folder)?,
        (None, Some(site)) => input::map_files(&site.join("maps"))?,
        (None, None) => Vec::new(),
    };
    let texts: Vec<(&str, &str)> = overlay
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let maps = match Maps::with_site(&texts) {
        Ok(maps) => maps,
        Err(Problems(problems)) => {
            for problem in &problems {
                output.note(problem);
            }
            return Ok(Exit::Found);
        }
    };
    if arguments.rows {
        return rows::run(arguments, &maps, output);
    }
    let mut files = Vec::new();
    for path in &arguments.paths {
        let named = path.is_file() || path == Path::new("-");
        gather(path, named, input::ENDINGS, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no file that ends with .hl7, .txt, .er7, .msg or .ndjson");
    }
    let settings = settings(arguments)?;
    let mut converting = Converting {
        maps: &maps,
        settings,
        arguments,
        output,
        arrived: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
            .to_string(),
        many: files.len() > 1 || arguments.ndjson,
        watched: std::io::stderr().is_terminal() && !std::io::stdout().is_terminal(),
        begun: Instant::now(),
        shown: Instant::now(),
        total: 0,
        unread: 0,
        hits: BTreeMap::new(),
    };
    for file in &files {
        converting.file(file)?;
    }
    converting.end();
    Ok(if converting.unread > 0 {
        Exit::Found
    } else {
        Exit::Done
    })
}

fn zone(text: &str) -> anyhow::Result<Arc<dyn Zone>> {
    hilum_steps::zone::named(text).map_err(anyhow::Error::msg)
}

fn settings(arguments: &Convert) -> anyhow::Result<Settings> {
    let zone = arguments.zone.as_deref().map(zone).transpose()?;
    Ok(Settings {
        zone,
        country: arguments.country.clone(),
        profile: arguments.profile.clone(),
        bundle: match arguments.bundle {
            BundleForm::Transaction => BundleType::Transaction,
            BundleForm::Message => BundleType::Message,
            BundleForm::Collection => BundleType::Collection,
        },
        original: match arguments.original {
            KeptForm::None => Original::None,
            KeptForm::Binary => Original::Binary,
            KeptForm::DocumentReference => Original::DocumentReference,
        },
        explain: arguments.explain || arguments.coverage,
        ..Settings::default()
    })
}

struct Converting<'o> {
    maps: &'o Maps,
    settings: Settings,
    arguments: &'o Convert,
    output: &'o Output,
    arrived: String,
    /// More than one Bundle, so one a line.
    many: bool,
    /// A person at a terminal waits.
    watched: bool,
    begun: Instant,
    shown: Instant,
    total: u64,
    unread: u64,
    /// How often each row wrote something, by file and line.
    hits: BTreeMap<(String, u32), u64>,
}

impl Converting<'_> {
    fn file(&mut self, file: &Path) -> anyhow::Result<()> {
        let messages = input::messages(file)?;
        if messages.is_empty() {
            self.unread += 1;
            self.note(
                &file.display().to_string(),
                "there is no message of HL7 v2 in it",
            );
        }
        self.many |= messages.len() > 1;
        for (name, bytes) in messages {
            match Message::parse(bytes.clone()) {
                Ok(message) => self.message(&name, &message, &bytes)?,
                Err(reject) => {
                    self.unread += 1;
                    self.note(&name, &format!("not a message of HL7 v2: {reject}"));
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, name: &str, message: &Message, bytes: &[u8]) -> anyhow::Result<()> {
        // The id derives from the bytes, so that the same file gives the same Bundle.
        let id = derived_id(&[&String::from_utf8_lossy(bytes)]);
        let arrived = Arrived {
            id: &id,
            at: &self.arrived,
        };
        let converted = to_fhir(self.maps, message, &self.settings, &arrived);
        self.total += 1;
        for Reason { file, line, .. } in &converted.reasons {
            *self.hits.entry((file.clone(), *line)).or_default() += 1;
        }
        if self.output.json() {
            self.output
                .value(&as_json(name, &converted, self.arguments.explain)?)?;
        } else {
            self.show(name, &converted)?;
        }
        if self.watched && self.shown.elapsed() >= PROGRESS_EVERY {
            self.shown = Instant::now();
            self.output
                .progress(format_args!("{} converted", self.total));
        }
        Ok(())
    }

    fn show(&self, name: &str, converted: &Converted) -> anyhow::Result<()> {
        let style = if self.many {
            Style::Compact
        } else {
            Style::Pretty
        };
        let mut text = Vec::new();
        fhir_json::write(&converted.bundle, style, &mut text);
        self.output.line(String::from_utf8(text)?.trim_end());
        for finding in &converted.findings {
            self.note(name, &finding.to_string());
        }
        for place in &converted.unmapped {
            self.note(name, &format!("unmapped {place}"));
        }
        if self.arguments.explain {
            for reason in &converted.reasons {
                self.note(name, &reason_line(reason));
            }
        }
        Ok(())
    }

    fn note(&self, name: &str, text: &str) {
        if self.watched {
            self.output.progress("");
        }
        self.output.note(format_args!("{name}: {text}"));
    }

    fn end(&self) {
        if self.watched {
            self.output.progress("");
        }
        if self.arguments.coverage {
            for ((file, line), count) in &self.hits {
                self.output.note(format_args!("{file}:{line}: {count}"));
            }
        }
        if self.total > 1 {
            let seconds = self.begun.elapsed().as_secs_f64().max(1e-6);
            self.output.note(format_args!(
                "{} messages converted, {} not read, {:.0} a second",
                self.total,
                self.unread,
                self.total as f64 / seconds
            ));
        }
    }
}

fn reason_line(reason: &Reason) -> String {
    let Reason {
        element,
        file,
        line,
        source,
        value,
    } = reason;
    let source = source.map_or_else(|| "-".to_owned(), |place| place.to_string());
    format!("{element} = {value} from {source} by {file}:{line}")
}

fn as_json(name: &str, converted: &Converted, explain: bool) -> anyhow::Result<Value> {
    let mut text = Vec::new();
    fhir_json::write(&converted.bundle, Style::Compact, &mut text);
    let findings = converted.findings.iter().map(|finding| {
        json!({
            "code": finding.code.as_str(),
            "place": finding.place.to_string(),
            "detail": finding.detail,
        })
    });
    let mut value = json!({
        "message": name,
        "findings": findings.collect::<Vec<_>>(),
        "unmapped": converted.unmapped.iter().map(ToString::to_string).collect::<Vec<_>>(),
        // As text, because a number of FHIR keeps its digits and one of JSON does not.
        "bundle": String::from_utf8(text)?,
    });
    if explain {
        let reasons = converted.reasons.iter().map(|reason| {
            json!({
                "element": reason.element,
                "file": reason.file,
                "line": reason.line,
                "source": reason.source.map(|place| place.to_string()),
                "value": reason.value,
            })
        });
        if let Value::Object(members) = &mut value {
            members.insert("reasons".to_owned(), reasons.collect());
        }
    }
    Ok(value)
}
