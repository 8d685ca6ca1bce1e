//! The queues of a plan.

use std::sync::Arc;

use hilum_component::ChannelPlan;

use super::{Running, Tasks};
use crate::queue::drive::drive;
use crate::queue::{Outlet, Queue, Target};
use crate::runtime::{Backlog, Core};

/// Adds the queues of a channel; they do not run yet.
pub(super) fn add_all(core: &Core, _tasks: &mut Tasks, plan: &ChannelPlan) {
    for destination in &plan.destinations {
        let target = Target::open(Arc::new(destination.clone()));
        core.add_queue(&plan.name, target, Backlog::None);
    }
}

/// Runs every queue that does not run yet.
pub(super) fn run_all(core: &Arc<Core>, tasks: &mut Tasks) {
    for channel in core.channels() {
        for queue in core.queues_of(&channel.name) {
            run(core, tasks, &queue);
        }
    }
}

/// Runs a queue unless it runs.
pub(super) fn run(core: &Arc<Core>, tasks: &mut Tasks, queue: &Arc<Queue>) {
    tasks.queues.entry(queue.id.0).or_insert_with(|| {
        open(&queue.target());
        Running::spawn(|stop| drive(Arc::clone(core), Arc::clone(queue), stop))
    });
}

/// Makes a destination ready before there is something to send.
pub(super) fn open(target: &Target) {
    if let Outlet::Component(destination) = &target.outlet {
        destination.open();
    }
}

/// Ends what the destinations have open.
pub(super) async fn close_all(core: &Core) {
    for channel in core.channels() {
        for queue in core.queues_of(&channel.name) {
            close(&queue.target()).await;
        }
    }
}

/// Ends what a destination has open.
pub(super) async fn close(target: &Target) {
    if let Outlet::Component(destination) = &target.outlet {
        destination.close().await;
    }
}
