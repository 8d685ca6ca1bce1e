//! A sequence as its file says it: what is sent by whom, what people do, and what must be so in the
//! end.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;

/// Messages of one sequence, at most: all of them are sent in every order.
const MESSAGES_MAX: usize = 40;

/// One sequence.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Sequence {
    /// Its name, by which the hazard log refers to it.
    pub(crate) sequence: String,
    /// What happens, for people.
    pub(crate) about: String,
    /// The hazards of the log that it shows.
    pub(crate) shows: Vec<String>,
    /// What happens, scene by scene.
    pub(crate) story: Vec<Scene>,
    /// What must be so in the end, whatever the order.
    pub(crate) then: Required,
    /// Its file, below `sequences/`.
    #[serde(skip)]
    pub(crate) file: String,
}

/// A part of the story: the next one begins when all of it has come to rest.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Scene {
    /// Messages that may arrive in any order, also those of one source.
    AnyOrder(Vec<Sent>),
    /// Messages of which those of one source keep their order, as one connection keeps it.
    EachSourceInOrder(Vec<Sent>),
    /// Messages in this order.
    InOrder(Vec<Sent>),
    /// What a person or a receiver does.
    Do(Act),
}

/// A message that a source sends.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) source: String,
    pub(crate) template: String,
    pub(crate) is: Details,
}

/// What of the template is written otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Details {
    /// What the story calls it, and its control id (MSH-10).
    #[serde(rename = "as")]
    pub(crate) name: String,
    /// The patient of `patients.yaml` of whom it is.
    pub(crate) patient: Option<String>,
    /// The patient whose number it says was the former one (MRG-1).
    pub(crate) former: Option<String>,
    /// When: `07:00` of the day of the story, `+1 07:00` of a later one. MSH-7, EVN-2, OBR-22.
    pub(crate) at: String,
    /// The visit (PV1-19).
    pub(crate) visit: Option<String>,
    /// The filler's number of the order (ORC-3, OBR-3).
    pub(crate) order: Option<String>,
    /// The placer's number of the order (ORC-2, OBR-2).
    pub(crate) placer: Option<String>,
    /// Results, `CODE|VALUE|UNIT|STATUS`, with `CODE#SUB-ID` where there are several of a code.
    #[serde(default)]
    pub(crate) obx: Vec<String>,
    /// Segments that follow, as they are.
    #[serde(default)]
    pub(crate) lines: Vec<String>,
    /// Places and their values.
    #[serde(default)]
    pub(crate) set: serde_json::Map<String, Value>,
    /// How its sender is answered, if not AA.
    pub(crate) answer: Option<String>,
}

/// What a person or a receiver does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Act {
    /// A person lets a held message go on.
    Release(String),
    /// A person ends a held message.
    Reject(String),
    /// A person gives a held message another patient.
    Reassign { message: String, to: String },
    /// A person takes back what a message did to links.
    Undo(String),
    /// A person sends a dead letter again.
    Retry { message: String, at: String },
    /// A person processes a stored message again.
    Replay(String),
    /// The same where it brings back an old state, and the person insists.
    Forced(Box<Act>),
    /// The same where hilum has to refuse it.
    Refused(Box<Act>),
    /// A source sends a message again.
    Resend(String),
    /// A receiver cannot be reached from now on.
    Away(String),
    /// A receiver can be reached again.
    Back(String),
    /// A receiver answers so to a message, whenever it comes.
    Answers {
        at: String,
        to: String,
        with: String,
    },
    /// A receiver takes everything again.
    Accepts(String),
    /// Minutes pass.
    Minutes(String),
}

/// What must be so in the end.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Required {
    /// What each receiver has, fact by fact; one that is not named has nothing. `everywhere` stands
    /// for the record, the laboratory and the store, `record` for the record and the store.
    #[serde(flatten)]
    pub(crate) receivers: BTreeMap<String, Value>,
    /// Messages that wait for a person, and a part of the reason.
    #[serde(default)]
    pub(crate) holds: BTreeMap<String, String>,
    /// Findings of messages, by their codes.
    #[serde(default)]
    pub(crate) findings: BTreeMap<String, OneOrMore>,
    /// Dead letters: the message, and the receivers that refused it.
    #[serde(default)]
    pub(crate) dead_letters: BTreeMap<String, OneOrMore>,
    /// What whoever is on duty was told of critical results, by channel and destination: `raised`, or
    /// `cleared` where it is over.
    #[serde(default)]
    pub(crate) alerts: BTreeMap<String, String>,
    /// Former values of a result in the history of the store, oldest first: `4711 result F1 K`.
    #[serde(default)]
    pub(crate) history: BTreeMap<String, OneOrMore>,
    /// The messages from which the store says it has a patient (`4711`) or a report (`4711 report F1`).
    #[serde(default)]
    pub(crate) provenance: BTreeMap<String, OneOrMore>,
    /// Messages that a receiver has to take in this order, others between them or not.
    #[serde(default)]
    pub(crate) in_this_order: BTreeMap<String, Vec<String>>,
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut map = serde_json::Map::deserialize(from)?;
        let first = map.iter().next();
        let Some((source, Value::String(template))) = first else {
            return Err(D::Error::custom(
                "a message begins with its source and its template (`pas: A01`)",
            ));
        };
        let (source, template) = (source.clone(), template.clone());
        map.shift_remove(&source);
        let is = Details::deserialize(Value::Object(map)).map_err(D::Error::custom)?;
        Ok(Self {
            source,
            template,
            is,
        })
    }
}

impl Scene {
    /// The messages of the scene.
    pub(crate) fn messages(&self) -> &[Sent] {
        match self {
            Self::AnyOrder(all) | Self::EachSourceInOrder(all) | Self::InOrder(all) => all,
            Self::Do(_) => &[],
        }
    }
}

impl Sequence {
    /// All messages of the story.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Sent> {
        self.story.iter().flat_map(Scene::messages)
    }

    fn checked(self) -> anyhow::Result<Self> {
        let mut names: Vec<&str> = self.messages().map(|sent| sent.is.name.as_str()).collect();
        if names.is_empty() || names.len() > MESSAGES_MAX {
            bail!("it has {} messages, not 1 to {MESSAGES_MAX}", names.len());
        }
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two.first() == two.last()) {
            bail!("two of its messages are called {}", twice.join(" and "));
        }
        let then = &self.then;
        let named = then.holds.keys().chain(then.findings.keys());
        let ordered = then.in_this_order.values().flatten();
        let ordered = ordered.chain(then.provenance.values().flat_map(OneOrMore::all));
        for name in named.chain(then.dead_letters.keys()).chain(ordered) {
            if !names.contains(&name.as_str()) {
                bail!("`then` names {name}, which is none of its messages");
            }
        }
        if self.shows.is_empty() || self.about.trim().is_empty() {
            bail!("it says not what it is about, or shows no hazard");
        }
        Ok(self)
    }
}

/// All sequences of a folder, by name.
pub(crate) fn read_all(folder: &Path) -> anyhow::Result<Vec<Sequence>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("there is no folder {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let mut all: Vec<Sequence> = Vec::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for document in documents(&path)? {
            let named = document["sequence"].as_str().unwrap_or("?").to_owned();
            let sequence = Sequence::deserialize(document)
                .map_err(anyhow::Error::from)
                .and_then(Sequence::checked)
                .with_context(|| format!("the sequence {named} of {name}"))?;
            if all.iter().any(|other| other.sequence == sequence.sequence) {
                bail!("two sequences are called {named}");
            }
            all.push(Sequence {
                file: name.to_string(),
                ..sequence
            });
        }
    }
    Ok(all)
}

/// The documents of a YAML file, every scalar as text.
pub(crate) fn documents(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display().to_string();
    hilum_config::yaml_texts(&name, &text).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(story: &str) -> anyhow::Result<Sequence> {
        let text = format!("sequence: a\nabout: a\nshows: [H1]\nstory:\n{story}then: {{}}\n");
        let all = hilum_config::yaml_texts("a.yaml", &text).map_err(anyhow::Error::msg)?;
        let first = all.into_iter().next().context("a document")?;
        Sequence::deserialize(first)?.checked()
    }

    #[test]
    fn reads_messages_by_source_and_template() {
        let read = read("  - any-order:\n      - { pas: A01, as: one, at: 07:00 }\n").unwrap();
        let sent = read.messages().next().unwrap();
        assert_eq!((&*sent.source, &*sent.template), ("pas", "A01"));
        assert_eq!(sent.is.at, "07:00");
    }

    #[test]
    fn refuses_two_messages_of_one_name_and_a_key_that_means_nothing() {
        let two = "  - in-order:\n      - { pas: A01, as: one, at: 07:00 }\n      - { pas: A03, as: one, at: 08:00 }\n";
        assert!(read(two).is_err());
        let odd = "  - in-order:\n      - { pas: A01, as: one, at: 07:00, patiend: anna }\n";
        let error = read(odd).unwrap_err().to_string();
        assert!(error.contains("patiend"), "{error}");
    }
}
