//! HL7 v2 to FHIR.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use bytes::Bytes;
use hilum_component::{Format, FormatOptions, SystemInfo, marked};
use hilum_convert::{
    Arrived, Attachments, BundleType, Converted, Maps, Original, Reason, Settings, derived_id,
    to_fhir,
};
use hilum_fhir::{Style, json as fhir_json};
use hilum_hl7v2::{Message, WarningCode};
use hilum_message::Payload;
use hilum_steps::convert::labelled;
use serde_json::{Value, json};

use super::apart::Apart;
use super::input;
use super::site::{Declared, Whose};
use super::watch::Watch;
use super::why::Why;
use crate::args::{AttachmentForm, BundleForm, Convert, KeptForm};
use crate::command::gather::gather;
use crate::components::registry;
use crate::output::{Exit, Output};

/// Oddities of one message that are said.
const ODD_MAX: usize = 40;

pub(super) fn run(
    arguments: &Convert,
    declared: &Declared,
    maps: &Maps,
    own: &[(String, String)],
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &arguments.paths {
        let named = path.is_file() || path == Path::new("-");
        gather(path, named, input::MESSAGES, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no file that ends with .hl7, .txt, .er7, .msg or .ndjson");
    }
    let format = registry().format("hl7v2", &FormatOptions::default());
    let mut converting = Converting {
        format: format.map_err(anyhow::Error::msg)?,
        maps,
        declared,
        settings: by_system(arguments, declared)?,
        arguments,
        output,
        arrived: super::now(),
        many: files.len() > 1 || arguments.ndjson,
        watch: Watch::new(output),
    };
    declared.note_unchosen(output);
    for file in &files {
        converting.file(file)?;
    }
    if arguments.coverage {
        converting.watch.coverage(maps, own);
    }
    Ok(converting.watch.end("messages"))
}

/// The settings of each system that may have sent a message; behind no name those of the others.
fn by_system(
    arguments: &Convert,
    declared: &Declared,
) -> anyhow::Result<BTreeMap<String, Settings>> {
    let mut found = BTreeMap::new();
    found.insert(String::new(), settings(arguments, declared, None)?);
    for system in declared.grouped.iter().chain(&declared.named) {
        let own = settings(arguments, declared, Some(system))?;
        found.insert(system.name.clone(), own);
    }
    Ok(found)
}

fn settings(
    arguments: &Convert,
    declared: &Declared,
    system: Option<&SystemInfo>,
) -> anyhow::Result<Settings> {
    let zone = arguments.zone.as_deref().or(declared.zone(system));
    let zone = zone.map(super::zone).transpose()?;
    Ok(Settings {
        zone,
        decimal: hilum_steps::convert::decimal(system),
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
        attachments: match arguments.attachments {
            AttachmentForm::Inline => Attachments::Inline,
            AttachmentForm::Binary => Attachments::Binary,
        },
        explain: arguments.explain || arguments.coverage,
        authorities: declared.authorities(system),
        systems: system
            .map(|system| system.code_systems.clone())
            .unwrap_or_default(),
        software: None,
        // Only a store that keeps the newest of each element knows what to do with it.
        as_of: false,
        taken_back: false,
        snapshots: BTreeMap::new(),
        outside: BTreeMap::new(),
        system: String::new(),
    })
}

struct Converting<'o> {
    format: Arc<dyn Format>,
    maps: &'o Maps,
    declared: &'o Declared,
    /// By the name of a system.
    settings: BTreeMap<String, Settings>,
    arguments: &'o Convert,
    output: &'o Output,
    arrived: String,
    /// More than one Bundle, so one a line.
    many: bool,
    watch: Watch<'o>,
}

impl Converting<'_> {
    fn file(&mut self, file: &Path) -> anyhow::Result<()> {
        let messages = match input::messages(file) {
            Ok(messages) => messages,
            Err(error) => {
                self.watch.unread_file(file, &error);
                return Ok(());
            }
        };
        if messages.is_empty() {
            let name = file.display().to_string();
            self.watch
                .unread(&name, "there is no message of HL7 v2 in it");
        }
        self.many |= messages.len() > 1;
        for (name, bytes) in messages {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.watch.unread(&name, &error.to_string());
                    continue;
                }
            };
            // The id derives from the bytes, so that the same file gives the same Bundle.
            let id = derived_id(&[&String::from_utf8_lossy(&bytes)]);
            let (text, apart) = if self.is_plain() {
                let (text, apart) = Apart::cut(bytes);
                (text, Some(apart))
            } else {
                (bytes.into(), None)
            };
            match Message::parse(text) {
                Ok(message) => self.message(&name, message, &id, apart.as_ref())?,
                Err(reject) => {
                    let text = format!("not a message of HL7 v2: {reject}");
                    self.watch.unread(&name, &text);
                }
            }
        }
        Ok(())
    }

    /// Nobody looks at the documents, neither the message as it came nor somebody who asks why.
    fn is_plain(&self) -> bool {
        let told = self.arguments.explain || self.arguments.coverage;
        !told && !self.output.json() && self.arguments.original == KeptForm::None
    }

    fn message(
        &mut self,
        name: &str,
        message: Message,
        id: &str,
        apart: Option<&Apart>,
    ) -> anyhow::Result<()> {
        let arrived = Arrived {
            id,
            at: &self.arrived,
        };
        let system = match self.declared.whose(&message) {
            Whose::System(system) => &*system.name,
            Whose::Nobody => "",
            Whose::Unknown => {
                let text = "no system of the site sends as this application and facility (MSH-3, MSH-4); \
                            --system NAME chooses one";
                self.watch.note(name, text);
                ""
            }
            Whose::Several => {
                let text = "several systems of the site send as this application and facility (MSH-3, \
                            MSH-4); --system NAME chooses one";
                self.watch.note(name, text);
                ""
            }
        };
        let Some(settings) = self.settings.get(system) else {
            bail!("the system {system} has no settings");
        };
        let mut settings = Cow::Borrowed(settings);
        let outside = apart.map(|apart| apart.outside(&message.write()));
        if let Some(outside) = outside.filter(|outside| !outside.is_empty()) {
            settings.to_mut().outside = outside;
        }
        let mut converted = to_fhir(self.maps, &message, &settings, &arrived);
        let marking = self.declared.marking(system);
        let marking = marking.map_or_else(Cow::default, Cow::Borrowed);
        let document = self.format.parse(&Payload::inline(message.write()))?;
        let metadata = marked(&*self.format, &marking, &*document).map_err(anyhow::Error::msg)?;
        converted.bundle = labelled(converted.bundle, &metadata)?;
        let odd = odd(&message);
        drop(message);
        for Reason { file, line, .. } in &converted.reasons {
            self.watch.hit(file, *line);
        }
        let is_empty = converted.bundle.root().child("entry").is_none();
        if self.output.json() {
            let value = as_json(name, &converted, &odd, self.arguments.explain)?;
            self.output.value(&value)?;
        } else {
            self.note_odd(name, &odd);
            for finding in &converted.findings {
                self.watch.note(name, &finding.to_string());
            }
            if !is_empty {
                self.show(name, &converted, apart)?;
            }
        }
        if is_empty {
            self.watch.unread(name, "nothing can be made of it");
        } else {
            self.watch.converted();
        }
        Ok(())
    }

    /// Says what was odd about how a message is written.
    fn note_odd(&self, name: &str, odd: &[Odd]) {
        // How the lines of a file end is a matter of the file.
        let of_message = |odd: &&Odd| {
            !matches!(
                odd.code,
                WarningCode::TerminatorLf | WarningCode::TerminatorCrLf
            )
        };
        for Odd { code, place, text } in odd.iter().filter(of_message).take(ODD_MAX) {
            let blank = if place.is_empty() { "" } else { " " };
            self.watch
                .note(name, &format!("{code}{blank}{place}: {text}"));
        }
        match odd
            .iter()
            .filter(of_message)
            .count()
            .saturating_sub(ODD_MAX)
        {
            0 => {}
            more => self
                .watch
                .note(name, &format!("and {more} more of that kind")),
        }
    }

    fn show(&self, name: &str, converted: &Converted, apart: Option<&Apart>) -> anyhow::Result<()> {
        let style = if self.many {
            Style::Compact
        } else {
            Style::Pretty
        };
        let mut text = Vec::new();
        fhir_json::write(&converted.bundle, style, &mut text);
        text.truncate(text.trim_ascii_end().len());
        let text = Bytes::from(text);
        match apart {
            Some(apart) => self.output.pieces(&apart.pieces(text.clone())),
            None => self.output.pieces(std::slice::from_ref(&text)),
        }
        for place in &converted.unmapped {
            self.watch.note(name, &format!("unmapped {place}"));
        }
        if self.arguments.explain {
            let bundle: Value = serde_json::from_slice(&text)?;
            let mut why = Why::new();
            for reason in &converted.reasons {
                explain(reason, &bundle, &mut why);
            }
            why.show(name, self.output);
        }
        Ok(())
    }
}

/// What was odd about how a message is written.
struct Odd {
    code: WarningCode,
    /// Empty for the whole message.
    place: String,
    text: Cow<'static, str>,
}

fn odd(message: &Message) -> Vec<Odd> {
    let warnings = message.warnings().iter();
    warnings
        .map(|warning| Odd {
            code: warning.code,
            place: message.warning_location(warning),
            text: warning.text.clone(),
        })
        .collect()
}

/// A line for an element, under its resource.
fn explain(reason: &Reason, bundle: &Value, why: &mut Why) {
    let Reason {
        element,
        file,
        line,
        source,
        value,
    } = reason;
    let inside = element.strip_prefix("Bundle.entry[");
    let inside = inside.and_then(|rest| rest.split_once("].resource."));
    let (heading, place) = match inside {
        Some((entry, place)) => {
            let resource = entry.parse::<usize>().ok();
            let resource = resource.map(|at| &bundle["entry"][at]["resource"]["resourceType"]);
            let kind = resource.and_then(Value::as_str).unwrap_or("resource");
            (format!("{kind}, Bundle.entry[{entry}]"), place)
        }
        None => ("Bundle".to_owned(), element.as_str()),
    };
    let place = place.strip_prefix("Bundle.").unwrap_or(place);
    let from = source.map_or_else(|| "-".to_owned(), |place| place.to_string());
    why.add(heading, place, value, &from, &format!("{file}:{line}"));
}

fn as_json(name: &str, converted: &Converted, odd: &[Odd], explain: bool) -> anyhow::Result<Value> {
    let mut text = Vec::new();
    fhir_json::write(&converted.bundle, Style::Compact, &mut text);
    let findings = converted.findings.iter().map(|finding| {
        json!({
            "code": finding.code.as_str(),
            "place": finding.place.to_string(),
            "detail": finding.detail,
        })
    });
    let odd = odd.iter().map(|odd| {
        json!({
            "code": odd.code.as_str(),
            "place": odd.place,
            "text": odd.text,
        })
    });
    let mut value = json!({
        "message": name,
        "warnings": odd.collect::<Vec<_>>(),
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
