//! The code systems that messages of HL7 v2 name, as URLs and back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hilum_component::BuildContext;
use hilum_fhir::systems::{V2_TABLE, names_of_url, url_of_name};

use crate::sender::SENDER;

/// What systems declare, what the standard has, and what a step is set to.
pub(crate) struct Systems {
    /// URLs by name, by the system that may have sent a message.
    declared: BTreeMap<String, BTreeMap<String, String>>,
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
        Self { declared, fallback }
    }

    fn own(&self, metadata: &hilum_message::Metadata) -> Option<&BTreeMap<String, String>> {
        self.declared.get(metadata.get(SENDER)?)
    }

    /// The URL of a system by the name that a message gives it: what the sender's file declares,
    /// else what the standard knows, else what the step is set to. `None` if the message names none
    /// and the step neither.
    pub(crate) fn url(
        &self,
        metadata: &hilum_message::Metadata,
        name: &str,
    ) -> Option<Cow<'_, str>> {
        let name = name.trim();
        let declared = self.own(metadata).and_then(|own| own.get(name));
        if let Some(url) = declared.filter(|_| !name.is_empty()) {
            return Some(Cow::Borrowed(url));
        }
        if let Some(url) = url_of_name(name) {
            return Some(Cow::Borrowed(url));
        }
        let number = name.strip_prefix("HL7").unwrap_or_default();
        if number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Cow::Owned(format!("{V2_TABLE}{number}")));
        }
        if name.contains(':') {
            return Some(Cow::Owned(name.to_owned()));
        }
        match &self.fallback {
            Some(url) => Some(Cow::Borrowed(url)),
            // As conversions to FHIR write it.
            None => (!name.is_empty()).then(|| Cow::Owned(format!("urn:id:{name}"))),
        }
    }

    /// What HL7 v2 calls the system with a URL.
    pub(crate) fn name(&self, metadata: &hilum_message::Metadata, url: &str) -> String {
        let declared = self.own(metadata).into_iter().flatten();
        let declared = declared
            .filter(|(_, known)| *known == url)
            .map(|(name, _)| &**name);
        let known = declared.chain(names_of_url(url).iter().copied()).next();
        match (known, url.strip_prefix(V2_TABLE)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(number)) => format!("HL7{number}"),
            (None, None) => url.strip_prefix("urn:id:").unwrap_or(url).to_owned(),
        }
    }
}
