//! Taking a new plan while running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hilum_component::{ChannelPlan, Plan};
use serde::Serialize;

use super::{EngineError, Tasks, queues, sources};
use crate::channel::Channel;
use crate::queue::{Queue, Target};
use crate::runtime::Core;

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
    refuse_orphans(core, &plan)?;
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
fn refuse_orphans(core: &Core, plan: &Plan) -> Result<(), EngineError> {
    let mut orphans = Vec::new();
    for channel in core.channels() {
        for queue in core.queues_of(&channel.name) {
            let waiting = queue.figures.waiting.load(Ordering::Relaxed);
            let named = plan.channels.get(&channel.name).is_some_and(|plan| {
                plan.destinations.iter().any(|d| {
                    d.name == queue.destination || d.was.as_ref() == Some(&queue.destination)
                })
            });
            if waiting > 0 && !named {
                orphans.push(format!(
                    "{}/{} ({waiting} wait)",
                    queue.channel, queue.destination
                ));
            }
        }
    }
    if orphans.is_empty() {
        Ok(())
    } else {
        Err(EngineError::RemovedWithQueue(orphans))
    }
}

async fn start(core: &Arc<Core>, tasks: &mut Tasks, plan: &Arc<ChannelPlan>) -> Result<(), String> {
    let channel = Arc::new(Channel::new(core.number(), Arc::clone(plan), core.now_ms()));
    let source = sources::open(Arc::clone(&channel)).await?;
    core.add_channel(Arc::clone(&channel));
    queues::add_all(core, tasks, plan);
    queues::run_all(core, tasks);
    tasks
        .sources
        .insert(Arc::clone(&plan.name), source.run(core));
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
    let before: BTreeMap<_, _> = core
        .queues_of(&channel.name)
        .into_iter()
        .map(|queue| (Arc::clone(&queue.destination), queue))
        .collect();
    for destination in &new.destinations {
        let destination = Arc::new(destination.clone());
        match before.get(&destination.name) {
            Some(queue) if queue.target().plan.digest == destination.digest => {
                queue.replan(destination)
            }
            Some(queue) => queues::close(&queue.retarget(Target::open(destination))).await,
            None => {
                core.add_queue(&new.name, Target::open(destination));
            }
        }
    }
    channel.replan(Arc::clone(new));
    for (name, queue) in &before {
        if !new
            .destinations
            .iter()
            .any(|destination| destination.name == *name)
        {
            remove(core, tasks, queue, deadline).await;
        }
    }
    queues::run_all(core, tasks);
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
                tasks
                    .sources
                    .insert(Arc::clone(&channel.name), source.run(core));
            }
            Err(text)
        }
    }?;
    tasks
        .sources
        .insert(Arc::clone(&channel.name), opened.run(core));
    Ok(())
}
