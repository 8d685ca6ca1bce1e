//! The sources of a plan: opened all together, then run, and run again when they fail.

use std::sync::Arc;
use std::time::Duration;

use hilum_component::{ChannelPlan, Intake, Plan, Source, SourceKind, Stop};
use tokio::time::Instant;

use super::{EngineError, Running};
use crate::alert::Alert;
use crate::channel::{Channel, ChannelIntake};
use crate::runtime::Core;

/// The first and the longest delay before a failed source is opened again.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_LONGEST: Duration = Duration::from_secs(60);

/// A source that was opened and does not run yet.
pub(super) struct OpenSource {
    pub(super) channel: Arc<Channel>,
    source: Option<Box<dyn Source>>,
}

/// A source that runs.
pub(crate) struct RunningSource {
    running: Option<Running>,
}

impl RunningSource {
    pub(super) fn request_stop(&self) {
        if let Some(running) = &self.running {
            running.stop.request();
        }
    }

    pub(super) async fn end(self, deadline: Instant) {
        if let Some(running) = self.running {
            running.end(deadline).await;
        }
    }
}

/// Opens every source of a plan, or says which cannot be opened.
pub(super) async fn open_all(core: &Core, plan: &Plan) -> Result<Vec<OpenSource>, EngineError> {
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for channel in plan.channels.keys().filter_map(|name| core.channel(name)) {
        match open(channel).await {
            Ok(source) => opened.push(source),
            Err(text) => failed.push(text),
        }
    }
    if failed.is_empty() {
        Ok(opened)
    } else {
        Err(EngineError::Sources(failed))
    }
}

/// Opens the source of a channel.
pub(super) async fn open(channel: Arc<Channel>) -> Result<OpenSource, String> {
    let plan = channel.plan();
    let source = match &plan.source.kind {
        SourceKind::Topic(_) | SourceKind::Reply(_) => None,
        SourceKind::Component(make) => {
            let mut source = make();
            let address = open_one(&plan, &mut *source).await?;
            if let Some(address) = address {
                tracing::info!(channel = %channel.name, address, "listens");
            }
            Some(source)
        }
    };
    Ok(OpenSource { channel, source })
}

async fn open_one(plan: &ChannelPlan, source: &mut dyn Source) -> Result<Option<String>, String> {
    source.open().await.map_err(|error| {
        let hint = error
            .hint
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!(
            "the source of channel {}: {}{hint}",
            plan.name, error.message
        )
    })
}

impl OpenSource {
    /// Runs it.
    pub(super) fn run(self, core: &Arc<Core>) -> RunningSource {
        let Self { channel, source } = self;
        let running = source.map(|source| {
            let core = Arc::clone(core);
            Running::spawn(|stop| supervise(core, channel, source, stop))
        });
        RunningSource { running }
    }
}

/// Runs a source until `stop`; opens it again, with growing delays, when it fails.
async fn supervise(
    core: Arc<Core>,
    channel: Arc<Channel>,
    mut source: Box<dyn Source>,
    mut stop: Stop,
) {
    let port = ChannelIntake {
        core: Arc::clone(&core),
        channel: Arc::clone(&channel),
        stop: stop.clone(),
    };
    let intake = Intake::new(Arc::new(port));
    let mut delay = AGAIN_FIRST;
    let mut failing = false;
    loop {
        let ran = source.run(intake.clone(), stop.clone()).await;
        if stop.is_requested() {
            return;
        }
        let mut error = match ran {
            Ok(()) => return,
            Err(error) => error,
        };
        loop {
            tracing::error!(channel = %channel.name, error = %error.message, hint = error.hint,
                "a source failed; it is opened again by itself");
            if !failing {
                failing = true;
                core.publish_alert(source_down(&core, &channel, &error.message));
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.requested() => return,
            }
            delay = (delay * 2).min(AGAIN_LONGEST);
            match source.open().await {
                Ok(_) => break,
                Err(again) => error = again,
            }
        }
        (delay, failing) = (AGAIN_FIRST, false);
    }
}

fn source_down(core: &Core, channel: &Channel, text: &str) -> Alert {
    Alert {
        kind: "source-down",
        state: "event",
        site: core.site(),
        channel: Some(Arc::clone(&channel.name)),
        owner: core.owner(&channel.name),
        destination: None,
        message: None,
        text: text.to_owned(),
        at_ms: core.now_ms(),
    }
}
