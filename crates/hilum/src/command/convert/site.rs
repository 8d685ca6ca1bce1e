//! What a site says of the systems whose messages are converted, as its channels have it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use hilum_component::{Marking, SystemInfo};
use hilum_config::{Secrets, load, render};
use hilum_hl7v2::Message;
use hilum_steps::convert::{authorities, site_authorities};
use hilum_steps::sender::senders;

use crate::args::{Convert, SiteArgs};
use crate::command::check::options;
use crate::components::registry;
use crate::output::Output;

/// The systems of a site, and which of them it is about.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// The zone of the node.
    zone: Option<String>,
    /// What marks messages, by the name of a system.
    marking: BTreeMap<String, Marking>,
    /// The one that was named.
    pub(super) named: Option<Arc<SystemInfo>>,
    /// Those of groups, which a channel tells apart by the step `sender`.
    pub(super) grouped: Vec<Arc<SystemInfo>>,
    /// The assigning authorities on which they agree.
    authorities: BTreeMap<String, String>,
    /// Some declare who assigns identifiers, code systems or a zone, and none is chosen.
    unchosen: bool,
}

/// Whose message it is.
pub(super) enum Whose<'s> {
    /// That of this system.
    System(&'s SystemInfo),
    /// Nobody's whom the site tells apart.
    Nobody,
    /// None of those that it could be.
    Unknown,
    /// That of several.
    Several,
}

impl Declared {
    /// Reads the site of the arguments; `None` where it has mistakes, which are shown.
    pub(super) fn read(arguments: &Convert, output: &Output) -> anyhow::Result<Option<Self>> {
        let site = arguments.site.as_deref();
        let Some(site) = site.filter(|site| site.join("hilum.yaml").exists()) else {
            if let Some(name) = &arguments.system {
                bail!(
                    "the system {name} is one of a site: add --site FOLDER, the one with hilum.yaml"
                );
            }
            return Ok(Some(Self::default()));
        };
        let site_args = SiteArgs {
            site: site.to_owned(),
            environment: arguments.environment.clone(),
        };
        let folder: &Path = &site.canonicalize()?;
        let loaded = load(folder, &registry(), &options(&site_args, Secrets::Unread));
        if loaded.errors() > 0 {
            output.note(render(&loaded.diagnostics));
            return Ok(None);
        }
        let named = match &arguments.system {
            None => None,
            Some(name) => match loaded.systems.get(name) {
                Some(system) => Some(Arc::clone(system)),
                None if loaded.systems.is_empty() => {
                    bail!("the site has no system {name}: systems/ has none")
                }
                None => {
                    let names: Vec<&str> = loaded.systems.keys().map(String::as_str).collect();
                    bail!("the site has no system {name}; it has {}", names.join(", "));
                }
            },
        };
        let declares = |system: &&Arc<SystemInfo>| {
            !system.identifiers.is_empty()
                || !system.code_systems.is_empty()
                || system.zone.is_some()
        };
        let grouped = |system: &&Arc<SystemInfo>| {
            let says = &system.sends_as;
            system.group.is_some() && (says.application.is_some() || says.facility.is_some())
        };
        let systems = || loaded.systems.values();
        Ok(Some(Self {
            unchosen: named.is_none() && systems().any(|one| declares(&one)),
            grouped: systems().filter(grouped).cloned().collect(),
            authorities: site_authorities(systems().map(Arc::as_ref)),
            zone: loaded.zone,
            marking: loaded.marking,
            named,
        }))
    }

    /// The zone of times without an offset: that of a system, else that of the node.
    pub(super) fn zone<'s>(&'s self, of: Option<&'s SystemInfo>) -> Option<&'s str> {
        let own = of.and_then(|system| system.zone.as_deref());
        own.or(self.zone.as_deref())
    }

    /// The assigning authorities of a system, as a channel has them.
    pub(super) fn authorities(&self, of: Option<&SystemInfo>) -> BTreeMap<String, String> {
        let mut all = of.map_or_else(BTreeMap::new, |_| self.authorities.clone());
        all.extend(authorities(of));
        all
    }

    /// The lists of labels and test patients for messages of a system; behind no name those of the site.
    pub(super) fn marking(&self, system: &str) -> Option<&Marking> {
        self.marking.get(system)
    }

    /// Says once that what the site declares is not looked at.
    pub(super) fn note_unchosen(&self, output: &Output) {
        if self.unchosen && self.grouped.is_empty() {
            output.note(
                "no system of the site is chosen: its identifiers, code systems and zone are not \
                 looked at; --system NAME chooses one",
            );
        }
    }

    /// Whose a message is: the one that was named, else the one that its header names.
    pub(super) fn whose(&self, message: &Message) -> Whose<'_> {
        if let Some(named) = &self.named {
            return Whose::System(named);
        }
        if self.grouped.is_empty() {
            return Whose::Nobody;
        }
        match senders(&self.grouped, message).as_slice() {
            [] => Whose::Unknown,
            [one] => Whose::System(one),
            _ => Whose::Several,
        }
    }
}
