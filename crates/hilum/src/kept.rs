//! The plans of stored messages: kept as files in the data folder, made again by the engine's wish.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use hilum_admin::PLANS;
use hilum_component::ChannelPlan;
use hilum_config::{KeptPlans, Loaded, OpenTerminology, Options, Secrets, Variables, load_kept};
use hilum_fhir_server::SUBSCRIPTIONS;
use hilum_message::PlanDigest;

use crate::components::registry;

/// Plans that are kept in a data folder.
pub(crate) struct Kept {
    plans: KeptPlans,
    /// The folder of the site, as components see it.
    site: PathBuf,
    terminology: OpenTerminology,
    /// The channel that is made by the program and not by files: as it is now.
    built_in: OnceLock<BuiltIn>,
}

/// Makes the plan of the built-in channel.
type BuiltIn = Box<dyn Fn() -> ChannelPlan + Send + Sync>;

impl Kept {
    pub(crate) fn open(
        data: &Path,
        site: &Path,
        terminology: OpenTerminology,
    ) -> anyhow::Result<Self> {
        let folder = data.join(PLANS);
        let plans = KeptPlans::open(&folder)
            .with_context(|| format!("cannot keep plans in {}", folder.display()))?;
        let site = site.to_owned();
        let built_in = OnceLock::new();
        Ok(Self {
            plans,
            site,
            terminology,
            built_in,
        })
    }

    /// The built-in channel has no files: its plan of now is that of every time.
    pub(crate) fn built_in(&self, make: impl Fn() -> ChannelPlan + Send + Sync + 'static) {
        // There is one server for as long as the program runs.
        drop(self.built_in.set(Box::new(make)));
    }

    /// Keeps a plan before it runs.
    pub(crate) fn keep(&self, loaded: &Loaded, environment: Option<&str>) -> anyhow::Result<()> {
        if let Some(plan) = &loaded.plan {
            self.plans.keep(plan, environment, &loaded.snapshot)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("plans", &self.plans)
            .finish_non_exhaustive()
    }
}

impl hilum_engine::KeptPlans for Kept {
    fn channel(&self, channel: &str, digest: &str) -> Result<Option<Arc<ChannelPlan>>, String> {
        if channel == SUBSCRIPTIONS {
            return Ok(self.built_in.get().map(|make| Arc::new(make())));
        }
        let text = |error: hilum_config::KeptError| format!("{:#}", anyhow::Error::from(error));
        let Some(kept) = self.plans.find(channel, digest).map_err(text)? else {
            return Ok(None);
        };
        // It processes messages and opens nothing, so it needs no secrets.
        let options = Options {
            environment: kept.environment,
            secrets: Secrets::Unread,
            variables: Variables::Process,
            terminology: self.terminology.clone(),
            ..Options::default()
        };
        let loaded = load_kept(&self.site, kept.files, &registry(), &options);
        let plan = loaded.plan.ok_or_else(|| {
            format!(
                "the plan {} of program {} is not understood by this program any more: {}",
                kept.digest,
                kept.program,
                hilum_config::summary(&loaded.diagnostics, loaded.files)
            )
        })?;
        Ok(plan.channels.get(channel).map(Arc::clone))
    }

    fn retain(&self, in_use: &BTreeSet<PlanDigest>) -> Result<(), String> {
        let retained = self.plans.retain(in_use);
        retained.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }
}
