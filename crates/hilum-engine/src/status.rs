//! What an operator sees of a running engine: names, states and numbers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::figures::DISPOSITIONS;
use crate::lanes::Gate;
use crate::queue::{Outlet, Queue};
use crate::runtime::Core;
use crate::sender_clocks::ClockSkew;

/// A running engine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EngineStatus {
    /// The site's name.
    pub site: String,
    /// The digest of the plan that new messages have.
    pub plan: String,
    /// Messages between arrival and answer.
    pub in_flight: usize,
    /// The disk has no space: nothing is accepted until it has.
    pub disk_full: bool,
    /// Bytes that are free where the journal lies.
    pub disk_free: Option<u64>,
    /// Critical results that wait to be acknowledged.
    pub critical_open: u64,
    /// Of those, the ones that took too long already.
    pub critical_late: u64,
    /// Held messages. Each keeps back what comes later of its patient until it goes on.
    pub held_messages: u64,
    /// When the first of them arrived, Unix milliseconds.
    pub held_since_ms: Option<u64>,
    /// The systems whose clock is off by more than it may be.
    pub clocks_off: Vec<ClockSkew>,
    /// The channels by name.
    pub channels: Vec<ChannelStatus>,
}

/// A channel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChannelStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub about: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// The component of its source.
    pub source: String,
    /// The digest of its plan.
    pub plan: String,
    /// Messages since the start of the engine.
    pub received: u64,
    /// Messages by what was decided about them, since the start of the engine.
    pub dispositions: std::collections::BTreeMap<&'static str, u64>,
    /// When the last message came, Unix milliseconds.
    pub last_message_ms: Option<u64>,
    /// The destination whose full queue holds the source: nothing is taken in until it has shrunk.
    pub held_by: Option<Arc<str>>,
    /// Why its source does not run, and what to do about it; it is opened again by itself.
    pub trouble: Option<String>,
    /// Since when, Unix milliseconds.
    pub trouble_since_ms: Option<u64>,
    /// Its destinations.
    pub destinations: Vec<DestinationStatus>,
}

/// What a destination does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationState {
    /// It sends.
    Open,
    /// The peer is away; it is tried again by itself.
    Suspended,
    /// It waits for a person.
    Paused,
}

/// What has not come to rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Messages that are being taken in, and held ones that are going on.
    pub messages: usize,
    /// Channel and destination of the queues that send, are about to, or try again later. What
    /// waits for a person, or behind a held message or a dead letter, is at rest.
    pub queues: Vec<(Arc<str>, Arc<str>)>,
}

/// A destination.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DestinationStatus {
    /// Its name.
    pub name: Arc<str>,
    /// The system at the other end.
    pub system: Option<String>,
    /// Where it sends to.
    pub address: String,
    /// What it does.
    pub state: DestinationState,
    /// Deliveries that are not settled.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Of those that wait, how many are in memory; the others are in the journal only.
    pub in_memory: usize,
    /// As many wait as `queue-max` or `queue-bytes-max` allow: the source is held until the queue
    /// has shrunk.
    pub full: bool,
    /// Dead letters that hold the successors of their keys.
    pub holding: usize,
    /// Deliveries behind those.
    pub held: usize,
    /// Deliveries that the peer has, since the start of the engine.
    pub delivered: u64,
    /// Dead letters since the start of the engine.
    pub dead: u64,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Why it does not move, and what to do about it.
    pub trouble: Option<String>,
    /// Since when, Unix milliseconds.
    pub trouble_since_ms: Option<u64>,
    /// When it is tried again, Unix milliseconds.
    pub again_ms: Option<u64>,
}

impl EngineStatus {
    pub(crate) fn of(core: &Core) -> Self {
        let plan = core.plan();
        let (held_messages, held_since_ms) = core.held.waiting();
        Self {
            site: plan.site.clone(),
            plan: plan.digest.to_string(),
            in_flight: core.in_flight.messages(),
            disk_full: core.disk_full.load(Ordering::Relaxed),
            disk_free: core.space.free(),
            held_messages,
            held_since_ms,
            critical_open: core.critical.open(),
            critical_late: core.critical.late(),
            clocks_off: {
                let all = core.sender_clocks.all(core.now_ms()).into_iter();
                all.filter(ClockSkew::is_off).collect()
            },
            channels: core
                .channels()
                .iter()
                .map(|channel| of_channel(core, channel))
                .collect(),
        }
    }
}

fn of_channel(core: &Core, channel: &crate::channel::Channel) -> ChannelStatus {
    let plan = channel.plan();
    let figures = &channel.figures;
    let last = figures.last_ms.load(Ordering::Relaxed);
    let mut destinations: Vec<_> = core
        .queues_of(&channel.name)
        .iter()
        .map(|queue| of_queue(queue))
        .collect();
    destinations.sort_by(|a, b| a.name.cmp(&b.name));
    let trouble = channel.trouble();
    ChannelStatus {
        name: Arc::clone(&channel.name),
        about: plan.about.clone(),
        owner: plan.owner.clone(),
        source: plan.source.component.clone(),
        plan: plan.digest.to_string(),
        received: figures.received.get(),
        dispositions: DISPOSITIONS
            .iter()
            .zip(&figures.dispositions)
            .map(|(disposition, counter)| (disposition.word(), counter.get()))
            .collect(),
        last_message_ms: (last > 0).then_some(last),
        held_by: core.full_queue(&channel.name),
        trouble_since_ms: trouble.as_ref().map(|trouble| trouble.since_ms),
        trouble: trouble.map(|trouble| trouble.text),
        destinations,
    }
}

fn of_queue(queue: &Queue) -> DestinationStatus {
    let target = queue.target();
    let trouble = queue.trouble();
    let (held, holding) = queue.scope.lanes().held(queue.id);
    DestinationStatus {
        name: Arc::clone(&queue.destination),
        system: target.plan.system.clone(),
        address: match &target.outlet {
            Outlet::Component(destination) => destination.address(),
            Outlet::Topic(name) => format!("topic {name}"),
            Outlet::DeadLetter => "removed".to_owned(),
        },
        state: match queue.gate() {
            Gate::Open => DestinationState::Open,
            Gate::Suspended { .. } => DestinationState::Suspended,
            Gate::Paused => DestinationState::Paused,
        },
        waiting: queue.fill.messages(),
        waiting_bytes: queue.fill.bytes(),
        in_memory: queue.scope.lanes().in_memory(queue.id),
        full: queue.fill.is_full(),
        holding,
        held,
        delivered: queue.figures.delivered.get(),
        dead: queue.figures.dead.get(),
        failures: trouble.as_ref().map_or(0, |trouble| trouble.failures),
        trouble: trouble.as_ref().map(|trouble| match &trouble.hint {
            Some(hint) => format!("{}; {hint}", trouble.text),
            None => trouble.text.clone(),
        }),
        trouble_since_ms: trouble.as_ref().map(|trouble| trouble.since_ms),
        again_ms: trouble.and_then(|trouble| trouble.again_ms),
    }
}

/// The figures of a channel.
#[derive(Debug)]
pub struct ChannelView {
    /// The channel.
    pub name: Arc<str>,
    channel: Arc<crate::channel::Channel>,
}

impl ChannelView {
    /// What is counted.
    #[must_use]
    pub fn figures(&self) -> &crate::ChannelFigures {
        &self.channel.figures
    }
}

/// The figures of a queue.
#[derive(Debug)]
pub struct QueueView {
    /// The channel.
    pub channel: Arc<str>,
    /// The destination.
    pub destination: Arc<str>,
    queue: Arc<Queue>,
}

impl QueueView {
    /// What is counted.
    #[must_use]
    pub fn figures(&self) -> &crate::QueueFigures {
        &self.queue.figures
    }

    /// Deliveries that are not settled.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.queue.fill.messages()
    }

    /// Their bytes.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.queue.fill.bytes()
    }

    /// It is at its limit: the channel's source is held.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.queue.fill.is_full()
    }

    /// It sends.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.queue.gate() == Gate::Open
    }
}

impl crate::Engine {
    /// The figures of every channel.
    #[must_use]
    pub fn channel_figures(&self) -> Vec<ChannelView> {
        let view = |channel: Arc<crate::channel::Channel>| ChannelView {
            name: Arc::clone(&channel.name),
            channel,
        };
        self.core().channels().into_iter().map(view).collect()
    }

    /// The clocks of the systems that have sent something in the last half hour.
    #[must_use]
    pub fn sender_clocks(&self) -> Vec<ClockSkew> {
        let core = self.core();
        core.sender_clocks.all(core.now_ms())
    }

    /// What has not come to rest, for simulations that wait for it.
    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        let core = self.core();
        let queues = core
            .channels()
            .into_iter()
            .flat_map(|channel| core.queues_of(&channel.name));
        let moving = queues.filter(|queue| !queue.scope.lanes().is_still(queue.id));
        let queues = moving
            .map(|queue| (Arc::clone(&queue.channel), Arc::clone(&queue.destination)))
            .collect();
        UnderWay {
            messages: core.in_flight.messages() + core.held.under_way(core.now_ms()),
            queues,
        }
    }

    /// The figures of every queue.
    #[must_use]
    pub fn queue_figures(&self) -> Vec<QueueView> {
        let queues = self
            .core()
            .channels()
            .into_iter()
            .flat_map(|channel| self.core().queues_of(&channel.name));
        queues
            .map(|queue| QueueView {
                channel: Arc::clone(&queue.channel),
                destination: Arc::clone(&queue.destination),
                queue,
            })
            .collect()
    }
}
