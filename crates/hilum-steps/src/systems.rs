//! The code systems that messages of HL7 v2 name, as URLs and back.

use std::collections::BTreeMap;

use hilum_component::BuildContext;
use hilum_convert::reverse::system_name;
use hilum_convert::{known_system, system_uri};

use crate::sender::SENDER;

/// What systems declare, what the standard has, and what a step is set to.
pub(crate) struct Systems {
    /// URLs by name, by the system that may have sent a message.
    declared: BTreeMap<String, BTreeMap<String, String>>,
    /// Those of the system that the channel's source names.
    source: BTreeMap<String, String>,
    /// The URL of codes that come without a system, or with one that nobody knows.
    fallback: Option<String>,
}

impl Systems {
    /// Those of the systems that may send to a channel, which have a group.
    pub(crate) fn of(context: &BuildContext<'_>, fallback: Option<String>) -> Self {
        let mut declared = BTreeMap::new();
        for name in context.site.system_names() {
            let system = context.site.system(&name);
            let codes = system
                .filter(|system| system.group.is_some())
                .map(|system| system.code_systems.clone());
            declared.extend(
                codes
                    .filter(|codes| !codes.is_empty())
                    .map(|codes| (name, codes)),
            );
        }
        let source = context.sender.and_then(|name| context.site.system(name));
        Self {
            declared,
            source: source
                .map(|system| system.code_systems.clone())
                .unwrap_or_default(),
            fallback,
        }
    }

    fn own(&self, metadata: &hilum_message::Metadata) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match metadata.get(SENDER) {
            Some(sender) => self.declared.get(sender).unwrap_or(&NONE),
            None => &self.source,
        }
    }

    /// The URL of a system by the name that a message gives it: what the sender's file declares,
    /// else what the standard knows, else what the step is set to, else as conversions to FHIR write
    /// it. `None` if the message names none and the step neither.
    pub(crate) fn url(&self, metadata: &hilum_message::Metadata, name: &str) -> Option<String> {
        let own = self.own(metadata);
        known_system(own, name, "")
            .or_else(|| self.fallback.clone())
            .or_else(|| system_uri(own, name, ""))
    }

    /// What HL7 v2 calls the system with a URL.
    pub(crate) fn name(&self, metadata: &hilum_message::Metadata, url: &str) -> String {
        system_name(self.own(metadata), url).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_has_the_url_that_a_conversion_to_fhir_gives_it() {
        let mut metadata = hilum_message::Metadata::default();
        metadata.set(SENDER, "north");
        let own = BTreeMap::from([("L".to_owned(), "http://north.example/tests".to_owned())]);
        let mut systems = Systems {
            declared: BTreeMap::from([("north".to_owned(), own)]),
            source: BTreeMap::new(),
            fallback: None,
        };
        for (name, url) in [
            ("L", "http://north.example/tests"),
            ("LN", "http://loinc.org"),
            ("HL70001", "http://terminology.hl7.org/CodeSystem/v2-0001"),
            ("http://x.example/y", "http://x.example/y"),
            ("1.2.3", "urn:oid:1.2.3"),
            ("LAB 2", "urn:id:LAB%202"),
        ] {
            assert_eq!(systems.url(&metadata, name).as_deref(), Some(url));
            let back = systems.name(&metadata, url);
            assert_eq!(systems.url(&metadata, &back).as_deref(), Some(url));
        }
        assert_eq!(systems.url(&metadata, ""), None);
        systems.fallback = Some("http://x.example/z".to_owned());
        for name in ["", "LAB 2"] {
            let found = systems.url(&metadata, name);
            assert_eq!(found.as_deref(), Some("http://x.example/z"));
        }
    }
}
