//! The clocks of the systems that may send to a channel.

use std::collections::BTreeSet;
use std::sync::Arc;

use hilum_component::{CLOCK_SKEW_MAX, ComponentKind, SenderClock, SendsAs};
use serde_json::Value;

use super::Builder;
use crate::plan::channel::offsets;
use crate::site::SiteView;

impl<'g, V: Fn() -> SiteView<'g>> Builder<'_, 'g, V> {
    /// The clock of the system that the source names, else those of the group that a step tells apart.
    pub(super) fn sender_clocks(&self) -> Arc<[SenderClock]> {
        let node = self.gathered.node.as_ref();
        let zone = node.and_then(|node| node.zone.as_deref());
        let named = self.sender();
        let groups = self.groups();
        let systems = self.gathered.systems.iter().filter(|(name, system)| {
            let group = system.info.group.as_deref();
            match named {
                Some(named) => *name == named,
                None => group.is_some_and(|group| groups.contains(group)),
            }
        });
        let clock = |(name, system): (&String, &'g crate::site::System)| SenderClock {
            system: Arc::from(name.as_str()),
            sends_as: match named {
                Some(_) => SendsAs::default(),
                None => system.info.sends_as.clone(),
            },
            zone: system.info.zone.as_deref().or(zone).and_then(offsets),
            skew_max: system.info.clock_skew.unwrap_or(CLOCK_SKEW_MAX),
        };
        systems.map(clock).collect()
    }

    /// The groups of systems that steps tell apart.
    fn groups(&self) -> BTreeSet<&str> {
        let steps = self.channel.pieces.iter();
        let steps = steps.filter(|piece| piece.kind == ComponentKind::Step);
        steps
            .filter_map(|piece| piece.config.get("group").and_then(Value::as_str))
            .collect()
    }
}
