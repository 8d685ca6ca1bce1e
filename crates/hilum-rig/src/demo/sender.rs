//! The simulated systems that send, and the journal of what they sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hilum_testkit::messages::{Event, Synthetic};
use hilum_testkit::mllp::Client;
use tokio::time::sleep;

/// A system that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pas,
    Lis,
    Cpoe,
}

impl Kind {
    fn address(self) -> SocketAddr {
        let port = match self {
            Self::Pas => 26_710,
            Self::Lis => 26_711,
            Self::Cpoe => 26_712,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    const fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Self::Pas => 150,
            Self::Lis => 250,
            Self::Cpoe => 400,
        })
    }

    /// What the system sends as its n-th message: patients come, change, and leave again.
    const fn event(self, n: u64) -> (Event, u64) {
        match self {
            Self::Pas => {
                let patient = n / 3;
                match n % 3 {
                    0 => (Event::Admit, patient),
                    1 => (Event::Update, patient.saturating_sub(2)),
                    _ => (Event::Discharge, patient.saturating_sub(4)),
                }
            }
            Self::Lis => (Event::Result, n / 2),
            Self::Cpoe => (Event::Prescription, n),
        }
    }
}

/// A message that was accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) message: Synthetic,
    pub(super) from: Kind,
}

/// What was sent and accepted, by all systems.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    sent: Arc<Mutex<Vec<Sent>>>,
    sequence: Arc<AtomicU64>,
}

impl Journal {
    pub(super) fn all(&self) -> Vec<Sent> {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn count(&self) -> usize {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Control ids of what the pharmacy must get.
    pub(super) fn for_pharmacy(&self) -> Vec<String> {
        let all = self.all();
        let wanted = all.iter().filter(|sent| sent.from != Kind::Lis);
        wanted.map(|sent| sent.message.control_id()).collect()
    }

    async fn send(
        &self,
        client: &mut Client,
        from: Kind,
        event: Event,
        patient: u64,
    ) -> Result<String> {
        let sequence = self.sequence.fetch_add(1, Ordering::SeqCst);
        let message = Synthetic::new(event, patient, sequence);
        let answer = client.exchange(&message.build()).await?;
        let id = message.control_id();
        let said = String::from_utf8_lossy(&answer);
        let yes = ["AA", "CA"].map(|code| format!("MSA|{code}|{id}"));
        if !yes.iter().any(|yes| said.contains(yes)) {
            bail!(
                "{id} of {from:?} was not accepted: {:?}",
                said.split('\r').nth(1)
            );
        }
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Sent { message, from });
        Ok(id)
    }
}

/// One system that sends until it is told to stop.
#[derive(Debug)]
pub(super) struct Sender {
    kind: Kind,
    journal: Journal,
    over: Arc<AtomicBool>,
}

impl Sender {
    pub(super) fn new(kind: Kind, journal: &Journal, over: &Arc<AtomicBool>) -> Self {
        Self {
            kind,
            journal: journal.clone(),
            over: Arc::clone(over),
        }
    }

    pub(super) async fn run(self) -> Result<()> {
        let mut client = connect(self.kind).await?;
        for n in 0.. {
            if self.over.load(Ordering::SeqCst) {
                break;
            }
            let (event, patient) = self.kind.event(n);
            self.journal
                .send(&mut client, self.kind, event, patient)
                .await?;
            sleep(self.kind.pause()).await;
        }
        Ok(())
    }
}

/// A patient is admitted, and the laboratory sends a potassium that the record will refuse; gives its
/// control id.
pub(super) async fn critical_potassium(journal: &Journal) -> Result<String> {
    let patient = 4_711;
    let mut client = connect(Kind::Pas).await?;
    journal
        .send(&mut client, Kind::Pas, Event::Admit, patient)
        .await?;
    let mut client = connect(Kind::Lis).await?;
    journal
        .send(&mut client, Kind::Lis, Event::Potassium(71), patient)
        .await
}

async fn connect(kind: Kind) -> Result<Client> {
    Client::connect(kind.address())
        .await
        .with_context(|| format!("{kind:?} cannot connect to {}", kind.address()))
}
