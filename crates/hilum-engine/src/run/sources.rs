//! The sources of a plan: opened all together, then run, and run again when they fail.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hilum_component::{ChannelPlan, Intake, Plan, Source, SourceError, SourceKind, Stop};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{EngineError, Running};
use crate::alert::Alert;
use crate::channel::{Channel, ChannelIntake, SourceTrouble};
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
    source
        .open()
        .await
        .map_err(|error| format!("the source of channel {}: {}", plan.name, text_of(&error)))
}

/// What happened, and what to do about it.
fn text_of(error: &SourceError) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

impl OpenSource {
    /// Runs it; returns when it takes messages, or has failed and the channel says why.
    pub(super) async fn run(self, core: &Arc<Core>) -> RunningSource {
        let Self { channel, source } = self;
        let Some(source) = source else {
            return RunningSource { running: None };
        };
        let core = Arc::clone(core);
        let (begun, told) = oneshot::channel();
        let running = Running::spawn(|stop| supervise(core, channel, source, stop, begun));
        // An error means that it has ended already.
        drop(told.await);
        RunningSource {
            running: Some(running),
        }
    }
}

/// Calls `begun` when `work` has done its first piece and goes on.
async fn noting<T>(work: impl Future<Output = T>, begun: impl FnOnce()) -> T {
    let mut work = std::pin::pin!(work);
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(ended) => ended,
        Poll::Pending => {
            begun();
            work.await
        }
    }
}

/// Runs a source until `stop`; opens it again, with growing delays, when it fails.
async fn supervise(
    core: Arc<Core>,
    channel: Arc<Channel>,
    mut source: Box<dyn Source>,
    mut stop: Stop,
    begun: oneshot::Sender<()>,
) {
    let mut begun = Some(begun);
    let mut tell = || begun.take().map(|begun| begun.send(()));
    let port = ChannelIntake {
        core: Arc::clone(&core),
        channel: Arc::clone(&channel),
        stop: stop.clone(),
    };
    let intake = Intake::new(Arc::new(port));
    let mut delay = AGAIN_FIRST;
    loop {
        let running = source.run(intake.clone(), stop.clone());
        let ran = noting(running, || {
            channel.set_trouble(None);
            tell();
        });
        let ran = ran.await;
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
            let since_ms = channel.trouble().map(|trouble| trouble.since_ms);
            channel.set_trouble(Some(SourceTrouble {
                text: text_of(&error),
                since_ms: since_ms.unwrap_or_else(|| core.now_ms()),
            }));
            if since_ms.is_none() {
                core.publish_alert(source_down(&core, &channel, &error.message));
            }
            tell();
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
        delay = AGAIN_FIRST;
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
