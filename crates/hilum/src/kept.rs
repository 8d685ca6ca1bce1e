//! The plans of stored messages: kept as files in the data folder, made again by the engine's wish.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use hilum_admin::PLANS;
use hilum_component::ChannelPlan;
use hilum_config::{KeptPlans, Loaded, Options, Secrets, Variables, load_kept};
use hilum_message::PlanDigest;

use crate::components::registry;

/// Plans that are kept in a data folder.
#[derive(Debug)]
pub(crate) struct Kept {
    plans: KeptPlans,
    /// The folder of the site, as components see it.
    site: PathBuf,
}

impl Kept {
    pub(crate) fn open(data: &Path, site: &Path) -> anyhow::Result<Self> {
        let folder = data.join(PLANS);
        let plans = KeptPlans::open(&folder)
            .with_context(|| format!("cannot keep plans in {}", folder.display()))?;
        let site = site.to_owned();
        Ok(Self { plans, site })
    }

    /// Keeps a plan before it runs.
    pub(crate) fn keep(&self, loaded: &Loaded, environment: Option<&str>) -> anyhow::Result<()> {
        if let Some(plan) = &loaded.plan {
            self.plans.keep(plan, environment, &loaded.snapshot)?;
        }
        Ok(())
    }
}

impl hilum_engine::KeptPlans for Kept {
    fn channel(&self, channel: &str, digest: &str) -> Result<Option<Arc<ChannelPlan>>, String> {
        let text = |error: hilum_config::KeptError| format!("{:#}", anyhow::Error::from(error));
        let Some(kept) = self.plans.find(channel, digest).map_err(text)? else {
            return Ok(None);
        };
        // It processes messages and opens nothing, so it needs no secrets.
        let options = Options {
            environment: kept.environment,
            secrets: Secrets::Unread,
            variables: Variables::Process,
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
