//! Taking a new plan while running.

use std::sync::Arc;

use hilum_component::{ChannelPlan, DestinationPlan, Plan};
use serde::Serialize;

use super::{EngineError, Tasks, queues, sources};
use crate::channel::Channel;
use crate::lanes::Gate;
use crate::queue::{Queue, Target};
use crate::runtime::{Backlog, Core};
use crate::store::{self, Orphan};

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReloadReport {
    /// The digest of the plan that runs now.
    pub plan: String,
    /// Channels that are new.
    pub started: Vec<Arc<str>>,
    /// Channels whose plan changed.
    pub changed: Vec<Arc<str>>,
    /// Channels that are gone.
    pub stopped: Vec<Arc<str>>,
}

/// Takes a plan: refuses it as a whole, or applies it channel by channel.
pub(super) async fn reload(
    core: &Arc<Core>,
    tasks: &mut Tasks,
    plan: Arc<Plan>,
) -> Result<ReloadReport, EngineError> {
    refuse_orphans(core, &plan).await?;
    let mut report = ReloadReport {
        plan: plan.digest.to_string(),
        ..ReloadReport::default()
    };
    for channel in core.channels() {
        if !plan.channels.contains_key(&channel.name) {
            stop(core, tasks, &channel, &plan).await;
            report.stopped.push(Arc::clone(&channel.name));
        }
    }
    let mut failed = Vec::new();
    for (name, new) in &plan.channels {
        match core.channel(name) {
            None => {
                start(core, tasks, new)
                    .await
                    .unwrap_or_else(|text| failed.push(text));
                report.started.push(Arc::clone(name));
            }
            Some(channel) if channel.plan().digest != new.digest => {
                change(core, tasks, &channel, new, &plan)
                    .await
                    .unwrap_or_else(|text| failed.push(text));
                report.changed.push(Arc::clone(name));
            }
            Some(_) => {}
        }
    }
    if !failed.is_empty() {
        return Err(EngineError::Sources(failed));
    }
    core.set_plan(plan);
    Ok(report)
}

/// A destination with a queue does not just vanish: the plan says what becomes of it.
async fn refuse_orphans(core: &Core, plan: &Plan) -> Result<(), EngineError> {
    let mut orphans = Vec::new();
    for channel in core.channels() {
        let new = plan.channels.get(&channel.name);
        let named = |name: &Arc<str>| {
            let mut to = new.iter().flat_map(|plan| &plan.destinations);
            to.any(|to| to.name == *name || to.was.as_ref() == Some(name))
        };
        for queue in core.queues_of(&channel.name) {
            let waiting = queue.fill.messages();
            if waiting == 0 {
                continue;
            }
            for name in queue.names().filter(|name| !named(name)) {
                // Under its name before there may be nothing left.
                if queue.was.is_none() || waits(core, &channel.name, name).await? {
                    orphans.push(Orphan {
                        channel: Arc::clone(&channel.name),
                        destination: Arc::clone(name),
                        waiting,
                    });
                }
            }
        }
    }
    if orphans.is_empty() {
        Ok(())
    } else {
        Err(EngineError::RemovedWithQueue(orphans))
    }
}

/// Something waits in the journal under this name.
async fn waits(core: &Core, channel: &Arc<str>, name: &Arc<str>) -> Result<bool, EngineError> {
    let (channel, name) = (Arc::clone(channel), Arc::clone(name));
    core.journal.flush().await.map_err(EngineError::Store)?;
    let found = core.journal.pending(channel, name, None, 1).await;
    Ok(!found.map_err(EngineError::Store)?.is_empty())
}

async fn start(core: &Arc<Core>, tasks: &mut Tasks, plan: &Arc<ChannelPlan>) -> Result<(), String> {
    let channel = Arc::new(Channel::new(core.number(), Arc::clone(plan), core.now_ms()));
    let source = sources::open(Arc::clone(&channel)).await?;
    core.add_channel(Arc::clone(&channel));
    queues::add_all(core, tasks, plan);
    queues::run_all(core, tasks);
    let source = source.run(core).await;
    tasks.sources.insert(Arc::clone(&plan.name), source);
    Ok(())
}

async fn stop(core: &Arc<Core>, tasks: &mut Tasks, channel: &Channel, plan: &Plan) {
    let deadline = tokio::time::Instant::now() + plan.stop_within.duration();
    if let Some(source) = tasks.sources.remove(&channel.name) {
        source.end(deadline).await;
    }
    for queue in core.queues_of(&channel.name) {
        remove(core, tasks, &queue, deadline).await;
    }
    core.remove_channel(&channel.name);
}

/// Gives each destination of the new plan its queue, and ends those that it does not have. The new
/// plan applies as soon as every destination that it names has a queue.
async fn destinations(
    core: &Arc<Core>,
    tasks: &mut Tasks,
    channel: &Arc<Channel>,
    new: &Arc<ChannelPlan>,
    deadline: tokio::time::Instant,
) -> Result<(), String> {
    let before = core.queues_of(&channel.name);
    let mut kept = Vec::new();
    let mut replaced = Vec::new();
    for destination in &new.destinations {
        let same = before.iter().find(|q| q.destination == destination.name);
        let destination = Arc::new(destination.clone());
        match same {
            Some(queue) if queue.was != destination.was => {
                replaced.push(replace(core, &before, destination, &new.name));
            }
            Some(queue) => {
                kept.push(queue.id);
                if queue.target().plan.digest == destination.digest {
                    queue.replan(destination);
                } else {
                    queues::close(&queue.retarget(Target::open(destination))).await;
                    queues::open(&queue.target());
                    queue.try_again();
                }
            }
            None => replaced.push(replace(core, &before, destination, &new.name)),
        }
    }
    channel.replan(Arc::clone(new));
    for (queue, old) in replaced {
        for old in old.iter().filter(|old| !kept.contains(&old.id)) {
            take_over(core, tasks, &queue, old, deadline).await;
        }
        // What was sent is not to be found as pending.
        let flushed = core.journal.flush().await;
        let restored = store::restore_blocks(core, &queue).await;
        flushed.and(restored).map_err(|error| {
            format!(
                "cannot read the queue of {}: {}",
                queue.destination,
                store::chain(&error)
            )
        })?;
    }
    for queue in &before {
        let named = new
            .destinations
            .iter()
            .any(|to| to.name == queue.destination);
        if !named {
            remove(core, tasks, queue, deadline).await;
        }
    }
    Ok(())
}

/// A queue in the place of those that have its name or its name before, and these.
fn replace(
    core: &Core,
    before: &[Arc<Queue>],
    destination: Arc<DestinationPlan>,
    channel: &Arc<str>,
) -> (Arc<Queue>, Vec<Arc<Queue>>) {
    let takes = |old: &&Arc<Queue>| {
        let mut names = [Some(&destination.name), destination.was.as_ref()]
            .into_iter()
            .flatten();
        names.any(|name| *name == old.destination)
    };
    let old: Vec<_> = before.iter().filter(takes).cloned().collect();
    let backlog = if old.is_empty() {
        Backlog::None
    } else {
        Backlog::InJournal
    };
    let queue = core.add_queue(channel, Target::open(destination), backlog);
    (queue, old)
}

/// Ends a queue and counts what it leaves behind for the one in its place, which reads it from the
/// journal.
async fn take_over(
    core: &Core,
    tasks: &mut Tasks,
    queue: &Queue,
    old: &Arc<Queue>,
    deadline: tokio::time::Instant,
) {
    let paused = (old.gate() == Gate::Paused).then(|| old.trouble());
    remove(core, tasks, old, deadline).await;
    queue.fill.add(old.fill.messages(), old.fill.bytes());
    if let Some(trouble) = paused {
        queue.scope.lanes().pause(queue.id);
        queue.set_trouble(trouble);
    }
}

async fn remove(
    core: &Core,
    tasks: &mut Tasks,
    queue: &Arc<Queue>,
    deadline: tokio::time::Instant,
) {
    if let Some(task) = tasks.queues.remove(&queue.id.0) {
        task.end(deadline).await;
    }
    core.remove_queue(queue);
    queues::close(&queue.target()).await;
}

async fn change(
    core: &Arc<Core>,
    tasks: &mut Tasks,
    channel: &Arc<Channel>,
    new: &Arc<ChannelPlan>,
    plan: &Plan,
) -> Result<(), String> {
    let old = channel.plan();
    let same_source = old.source.digest == new.source.digest;
    let deadline = tokio::time::Instant::now() + plan.stop_within.duration();
    if !same_source {
        // The new source may want the same port: the old one goes first.
        if let Some(source) = tasks.sources.remove(&channel.name) {
            source.end(deadline).await;
        }
    }
    let exchanged = destinations(core, tasks, channel, new, deadline).await;
    queues::run_all(core, tasks);
    exchanged?;
    if same_source {
        return Ok(());
    }
    let opened = match sources::open(Arc::clone(channel)).await {
        Ok(source) => Ok(source),
        Err(text) => {
            // A bad source never replaces a good one: the old plan of this channel goes on.
            channel.replan(old);
            let again = sources::open(Arc::clone(channel)).await;
            if let Ok(source) = again {
                let source = source.run(core).await;
                tasks.sources.insert(Arc::clone(&channel.name), source);
            }
            Err(text)
        }
    }?;
    let source = opened.run(core).await;
    tasks.sources.insert(Arc::clone(&channel.name), source);
    Ok(())
}
