//! `hilum compare`: what another plan would have made of the messages of a day.
//!
//! Both plans process the same received bytes as they would have on arrival; nothing is sent and
//! nothing is stored. State that steps keep begins empty for both and is kept apart, and what a
//! source knew beside the bytes (a file's name) is not there for either.

mod diff;
mod group;
mod seen;

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use hilum_component::{ChannelPlan, Incoming};
use hilum_config::{Secrets, load, render};
use hilum_engine::KeptPlans as _;
use hilum_message::{Metadata, Payload};
use tokio::time::Instant;

use self::group::Groups;
pub(super) use self::seen::Side;
use super::check::options;
use super::history::{History, Span, day};
use super::node::Remote;
use crate::args::{Compare, SiteArgs};
use crate::components::registry;
use crate::kept::Kept;
use crate::output::{Exit, Output};

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Compare, output: &Output) -> anyhow::Result<Exit> {
    let [a, b] = arguments.plan.as_slice() else {
        bail!("two plans are compared: --plan A --plan B");
    };
    let (channel, day_text) = &arguments.on;
    let (from_ms, until_ms) = day(day_text)?;
    let mut sides = [
        Side::new(plan(a, channel, arguments)?),
        Side::new(plan(b, channel, arguments)?),
    ];
    let history = History::new(arguments.data.as_deref(), &arguments.at)?;
    let found = history.list(&Span {
        channel: Some(channel.clone()),
        from_ms,
        until_ms,
    })?;
    let mut groups = Groups::default();
    let show = stderr().is_terminal() && !output.json();
    let mut shown = Instant::now();
    for (number, stored) in found.iter().enumerate() {
        if show && shown.elapsed() > PROGRESS_EVERY {
            output.progress(format_args!("{number} of {} compared", found.len()));
            shown = Instant::now();
        }
        let bytes = history
            .bytes(stored.id)
            .with_context(|| format!("cannot read message {}", stored.id))?;
        let [before, after] = &mut sides;
        let incoming = || {
            let payload = Payload::inline(bytes.clone());
            Incoming::new(stored.id, stored.arrived_ms, payload, Metadata::new())
        };
        let (before_saw, after_saw) = (before.process(incoming()), after.process(incoming()));
        groups.add(
            stored.id,
            diff::differences(before.plan(), &before_saw, after.plan(), &after_saw),
        );
    }
    if show {
        output.progress("");
    }
    let [before, after] = &sides;
    let heading = group::Heading {
        channel,
        day: day_text,
        messages: found.len(),
        plans: [
            before.plan().digest.to_string(),
            after.plan().digest.to_string(),
        ],
    };
    groups.show(&heading, arguments.reveal, output)?;
    Ok(if groups.is_empty() {
        Exit::Done
    } else {
        Exit::Found
    })
}

/// The channel of a plan: of the folder of a site, or of a plan that was kept.
fn plan(name: &str, channel: &str, arguments: &Compare) -> anyhow::Result<Arc<ChannelPlan>> {
    let path = Path::new(name);
    if !path.is_dir() {
        return kept(name, channel, arguments);
    }
    let site = SiteArgs {
        site: path.to_owned(),
        environment: arguments.environment.clone(),
    };
    let folder = path
        .canonicalize()
        .with_context(|| format!("cannot read {name}"))?;
    // It opens nothing, so it needs no secrets.
    let loaded = load(&folder, &registry(), &options(&site, Secrets::Unread));
    let Some(plan) = loaded.plan else {
        bail!(
            "{name} is not a good plan:\n{}",
            render(&loaded.diagnostics)
        );
    };
    let names: Vec<&str> = plan.channels.keys().map(|name| &**name).collect();
    plan.channels.get(channel).cloned().with_context(|| {
        format!(
            "{name} has no channel {channel}; it has {}",
            names.join(", ")
        )
    })
}

/// A plan of the data folder, which the node names where the arguments do not.
fn kept(digest: &str, channel: &str, arguments: &Compare) -> anyhow::Result<Arc<ChannelPlan>> {
    let is_digest = digest.len() >= 6 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest {
        bail!("{digest} is neither the folder of a site nor the digest of a kept plan");
    }
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => {
            let journal = Remote::new(&arguments.at)?.get("/api/v1/journal")?;
            PathBuf::from(journal["folder"].as_str().unwrap_or_default())
        }
    };
    let kept = Kept::open(&data, Path::new("."), crate::terms::of_folder(Some(&data)))?;
    let found = kept.channel(channel, &digest.to_ascii_lowercase());
    found.map_err(anyhow::Error::msg)?.with_context(|| {
        format!(
            "no plan {digest} with a channel {channel} is kept in {}",
            data.display()
        )
    })
}
