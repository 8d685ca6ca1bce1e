//! FHIR to HL7 v2.

use std::path::{Path, PathBuf};

use anyhow::bail;
use hilum_convert::reverse::{
    Because, Nothing, Resolver, ReverseError, Reversed, Sent, V2Settings, to_v2,
};
use hilum_convert::{Maps, derived_id};
use hilum_fhir::{Resource, Style, json as fhir_json};
use hilum_steps::convert::authorities;
use serde_json::{Value, json};

use super::input;
use super::loose::{Loose, Unmade};
use super::site::Declared;
use super::store::Store;
use super::watch::Watch;
use super::why::Why;
use crate::args::Convert;
use crate::command::fhir::{Server, read};
use crate::command::gather::gather;
use crate::output::{Exit, Output};

/// Characters of MSH-10, whose length is 20 up to version 2.6; the last message of the largest Bundle
/// has `-1000` behind it.
const CONTROL_ID_CHARS: usize = 15;

pub(super) fn run(
    arguments: &Convert,
    declared: &Declared,
    maps: &Maps,
    own: &[(String, String)],
    output: &Output,
) -> anyhow::Result<Exit> {
    let mut converting = Converting {
        maps,
        settings: settings(arguments, declared)?,
        arguments,
        output,
        now: super::now(),
        watch: Watch::new(output),
    };
    match &arguments.query {
        Some(query) => converting.query(query)?,
        None => converting.files()?,
    }
    if arguments.coverage {
        converting.watch.coverage(maps, own);
    }
    Ok(converting.watch.end("resources"))
}

fn settings(arguments: &Convert, declared: &Declared) -> anyhow::Result<V2Settings> {
    let system = declared.named.as_deref();
    let sends_as = system.map(|system| system.sends_as.clone());
    let sends_as = sends_as.unwrap_or_default();
    let zone = arguments.zone.as_deref().or(declared.zone(system));
    Ok(V2Settings {
        event: arguments.message.clone(),
        version: arguments.hl7_version.clone(),
        sending_application: arguments.sending_application.clone(),
        sending_facility: arguments.sending_facility.clone(),
        receiving_application: arguments
            .receiving_application
            .clone()
            .or(sends_as.application),
        receiving_facility: arguments.receiving_facility.clone().or(sends_as.facility),
        zone: zone.map(super::zone).transpose()?,
        authorities: authorities(system),
        systems: system
            .map(|system| system.code_systems.clone())
            .unwrap_or_default(),
        explain: arguments.explain || arguments.coverage,
        ..V2Settings::default()
    })
}

struct Converting<'o> {
    maps: &'o Maps,
    settings: V2Settings,
    arguments: &'o Convert,
    output: &'o Output,
    now: String,
    watch: Watch<'o>,
}

impl Converting<'_> {
    fn query(&mut self, query: &str) -> anyhow::Result<()> {
        let server = Server::of(&self.arguments.node)?;
        let store = Store::new(&server);
        store.pages(query, |name, page| {
            if let Some(why) = self.resource(name, &page, &store)? {
                self.watch.unread(name, &why);
            }
            store.failed()
        })
    }

    fn files(&mut self) -> anyhow::Result<()> {
        let mut files: Vec<PathBuf> = Vec::new();
        for path in &self.arguments.paths {
            let named = path.is_file() || path == Path::new("-");
            gather(path, named, input::RESOURCES, &mut files)?;
        }
        if files.is_empty() {
            bail!("there is no file that ends with .json, .xml or .ndjson");
        }
        let mut loose = Loose::default();
        for file in &files {
            let resources = match input::resources(file) {
                Ok(resources) => resources,
                Err(error) => {
                    self.watch.unread_file(file, &error);
                    continue;
                }
            };
            for (name, bytes) in resources {
                match read(&bytes) {
                    Ok(resource) if resource.type_name() == "Bundle" => {
                        if let Some(why) = self.resource(&name, &resource, &Nothing)? {
                            self.watch.unread(&name, &why);
                        }
                    }
                    Ok(resource) => loose.add(name, &resource)?,
                    Err(problems) => {
                        let text = format!("not a resource of FHIR R4: {problems}");
                        self.watch.unread(&name, &text);
                    }
                }
            }
        }
        for group in loose.groups() {
            let group = match group {
                Ok(group) => group,
                Err(Unmade { name, why }) => {
                    self.watch.unread(&name, &why);
                    continue;
                }
            };
            if let Some(why) = self.resource(&group.name, &group.resource, &loose)? {
                self.watch.passed(&group.name, &why);
            }
        }
        match loose.about_nobody() {
            0 => {}
            count => self.output.note(format_args!(
                "{count} resources are about no patient; they are in the messages that refer to them"
            )),
        }
        Ok(())
    }

    /// Writes the messages of a resource; says why there are none.
    fn resource(
        &mut self,
        name: &str,
        resource: &Resource,
        resolver: &dyn Resolver,
    ) -> anyhow::Result<Option<String>> {
        let mut text = Vec::new();
        fhir_json::write(resource, Style::Compact, &mut text);
        // The id derives from the content, so that the same file gives the same message.
        let id = derived_id(&[&String::from_utf8_lossy(&text)]);
        let id: String = id
            .chars()
            .filter(|c| *c != '-')
            .take(CONTROL_ID_CHARS)
            .collect();
        let sent = Sent {
            control_id: &id,
            at: &self.now,
        };
        match to_v2(self.maps, resource, resolver, &self.settings, sent) {
            Ok(made) => {
                for Because { row, .. } in &made.why {
                    if let Some((file, line)) = row.rsplit_once(':') {
                        self.watch.hit(file, line.parse().unwrap_or_default());
                    }
                }
                if self.output.json() {
                    let value = as_json(name, &made, self.arguments.explain);
                    self.output.value(&value)?;
                } else {
                    self.show(name, &made)?;
                }
                self.watch.converted();
            }
            Err(error) => {
                let remedy = match error {
                    ReverseError::NoEvent { .. } => " (--message ADT^A08, say)",
                    _ => "",
                };
                return Ok(Some(format!("{error}{remedy}")));
            }
        }
        Ok(None)
    }

    fn show(&self, name: &str, made: &Reversed) -> anyhow::Result<()> {
        for message in &made.messages {
            let text = message.write();
            if self.arguments.ndjson {
                self.output.value(&String::from_utf8_lossy(&text))?;
            } else {
                self.output.segments(&text);
            }
        }
        for finding in &made.findings {
            self.watch.note(name, &finding.to_string());
        }
        for path in &made.unmapped {
            self.watch.note(name, &format!("unmapped {path}"));
        }
        if self.arguments.explain {
            let mut table = Why::new();
            for why in &made.why {
                explain(why, made.messages.len(), &mut table);
            }
            table.show(name, self.output);
        }
        Ok(())
    }
}

/// A line for a field, under its segment.
fn explain(why: &Because, of: usize, table: &mut Why) {
    let Because {
        message,
        place,
        value,
        row,
        source,
    } = why;
    let segment = place.split_once('-').map_or(place.as_str(), |(id, _)| id);
    let heading = match of {
        1 => segment.to_owned(),
        _ => format!("message {}, {segment}", message + 1),
    };
    table.add(heading, place, value, source.as_deref().unwrap_or("-"), row);
}

fn as_json(name: &str, made: &Reversed, explain: bool) -> Value {
    let messages = made.messages.iter();
    let messages = messages.map(|message| String::from_utf8_lossy(&message.write()).into_owned());
    let findings = made.findings.iter().map(|finding| {
        json!({
            "code": finding.code.as_str(),
            "path": finding.path,
            "detail": finding.detail,
        })
    });
    let mut value = json!({
        "resource": name,
        "findings": findings.collect::<Vec<_>>(),
        "unmapped": made.unmapped,
        "messages": messages.collect::<Vec<_>>(),
    });
    if explain && let Value::Object(members) = &mut value {
        let reasons = made.why.iter().map(|why| {
            json!({
                "message": why.message,
                "place": why.place,
                "row": why.row,
                "source": why.source,
                "value": why.value,
            })
        });
        members.insert("reasons".to_owned(), reasons.collect());
    }
    value
}
