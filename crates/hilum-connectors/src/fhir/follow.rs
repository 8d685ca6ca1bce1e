//! The source for a store of this node: its changes in their order, each once.
//!
//! The store numbers its changes without gaps, and the number of a change is kept in the commit of
//! its message. So nothing is lost or taken twice, wherever the node stops between the two.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    Arrival, BoxFuture, Disposition, FhirChange, FhirDoor, FhirInteraction, FhirPlace, FhirPort,
    FhirWanted, Intake, Peer, Problem, Source, SourceError, Stop,
};
use hilum_message::{Metadata, Payload};
use jiff::Timestamp;
use tokio::sync::watch;

use super::config::On;

/// Under which the number of the last change is kept.
const KEY: &str = "change";
/// Between two tries of what failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Changes that are passed over before that is kept; so many may be looked at again after a start.
const PASSED_OVER_MAX: i64 = 1_000;

/// What is followed.
pub(super) struct Followed {
    pub(super) door: FhirDoor,
    pub(super) tenant: String,
    /// For people.
    pub(super) address: String,
    pub(super) types: Vec<String>,
    pub(super) query: String,
    pub(super) on: Vec<On>,
    pub(super) start: FhirPlace,
    pub(super) every: Duration,
    pub(super) page: usize,
}

/// The first of some criteria that cannot be asked of a changed resource alone, as far as its name
/// tells; what only the definitions of FHIR tell, the store says when the source starts.
pub(super) fn refused(query: &str) -> Option<Problem> {
    let mut from = 0;
    for part in query.split('&') {
        let name = part.split('=').next().unwrap_or_default();
        let found = name.replace("%3A", ":").replace("%3a", ":");
        if let Some((what, hint)) = beyond_itself(&found) {
            let text =
                format!("a store of this node asks this of each changed resource alone: {what}");
            return Some(Problem {
                span: Some(from..from + name.len()),
                ..Problem::at(&["query"], text).hint(hint)
            });
        }
        from += part.len() + 1;
    }
    None
}

/// Why a criterion is about more than one resource, and what to write instead.
fn beyond_itself(name: &str) -> Option<(&'static str, &'static str)> {
    const DECIDE: &str =
        "leave it out, and decide with `accept` of the channel, which sees the resource";
    let (plain, modifier) = name.split_once(':').unwrap_or((name, ""));
    if plain == "_has" {
        Some(("`_has` looks at others that refer to it", DECIDE))
    } else if name.contains('.') {
        let hint = "compare what stands in it, as in `subject=Patient/7` or \
                    `subject:identifier=urn:mrn|7`, or decide with `accept` of the channel";
        Some(("a chain looks at what it refers to", hint))
    } else if matches!(modifier, "in" | "not-in") {
        Some((
            "a value set is not part of it",
            "name the codes: `code=a,b`",
        ))
    } else if plain == "_list" {
        Some(("a list changes without its members", DECIDE))
    } else if matches!(plain, "_text" | "_content") {
        Some(("words are found by the index of the store", DECIDE))
    } else if matches!(
        plain,
        "_include" | "_revinclude" | "_summary" | "_elements" | "_total" | "_page" | "_explain"
    ) {
        let hint = "leave it out: a change comes as a whole and alone";
        Some(("this shapes the result of a search", hint))
    } else {
        None
    }
}

/// A source that follows.
pub(super) struct Follower {
    pub(super) followed: Arc<Followed>,
    label: Arc<str>,
    /// As of the last look; what is kept counts where it is not known.
    place: Option<Place>,
}

/// How far a store is followed.
#[derive(Clone, Copy)]
struct Place {
    /// The last change that was looked at.
    seen: i64,
    /// The last one that is kept.
    kept: i64,
}

/// What a look came to.
enum Looked {
    /// There may be more.
    More,
    /// Everything was taken.
    All,
    /// Something could not be read or accepted now.
    Failed,
}

impl Source for Follower {
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            // Nothing is read; what is wrong with the types and criteria is told at once.
            if let Some(port) = self.followed.door.port() {
                let nothing = self.followed.wanted(FhirPlace::Beginning, 0);
                let asked = port.changes(&self.followed.tenant, nothing).await;
                asked.map_err(|message| SourceError {
                    retry: false,
                    message: format!("the changes of the store cannot be followed: {message}"),
                    hint: Some("`types` and `query` say which".to_owned()),
                })?;
            }
            Ok(Some(self.followed.address.clone()))
        })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let mut commits = None;
            while !stop.is_requested() {
                let looked = self.look(&intake, &stop, &mut commits).await;
                let looked = looked.unwrap_or_else(|error| {
                    let address = &self.followed.address;
                    tracing::warn!(%address, %error, "a look at the changes of the FHIR store failed");
                    Looked::Failed
                });
                let pause = match looked {
                    Looked::More => continue,
                    Looked::All => self.followed.every,
                    Looked::Failed => AGAIN_AFTER,
                };
                tokio::select! {
                    () = stop.requested() => {}
                    () = tokio::time::sleep(pause) => {}
                    () = committed(&mut commits), if matches!(looked, Looked::All) => {}
                }
            }
            Ok(())
        })
    }
}

/// Returns when something was committed since the last look.
async fn committed(commits: &mut Option<watch::Receiver<u64>>) {
    match commits {
        // The server lives as long as the node.
        Some(commits) => drop(commits.changed().await),
        None => std::future::pending().await,
    }
}

impl Followed {
    fn wanted(&self, after: FhirPlace, max: usize) -> FhirWanted {
        FhirWanted {
            types: self.types.clone(),
            query: self.query.clone(),
            after,
            max,
        }
    }

    fn port(&self) -> Result<Arc<dyn FhirPort>, String> {
        let port = self.door.port();
        port.ok_or_else(|| "the FHIR server of the node is not open".to_owned())
    }
}

impl Follower {
    pub(super) fn new(followed: Arc<Followed>) -> Self {
        let label = followed.address.as_str().into();
        Self {
            followed,
            label,
            place: None,
        }
    }

    /// Takes a page of what is next.
    async fn look(
        &mut self,
        intake: &Intake,
        stop: &Stop,
        commits: &mut Option<watch::Receiver<u64>>,
    ) -> Result<Looked, String> {
        let followed = Arc::clone(&self.followed);
        let port = followed.port()?;
        // Before the look, so that what is committed during it is not missed.
        *commits = port.commits(&followed.tenant);
        let place = match self.place.take() {
            Some(place) => Some(place),
            None => self.kept(intake).await?,
        };
        let after = place.map_or(followed.start, |place| FhirPlace::Number(place.seen));
        let wanted = followed.wanted(after, followed.page);
        let found = port.changes(&followed.tenant, wanted).await?;
        let seen = found.to;
        let mut kept = place.map(|place| place.kept);
        for change in found.changes {
            if !followed.takes(change.interaction) {
                continue;
            }
            if stop.is_requested() {
                return Ok(Looked::All);
            }
            let number = change.number;
            if intake.take(self.arrival(change)).await.disposition == Disposition::Failed {
                return Ok(Looked::Failed);
            }
            kept = Some(number);
        }
        let kept = match kept {
            Some(kept) if seen - kept < PASSED_OVER_MAX => kept,
            // Also at the first start: `now` is that of then, whatever comes after.
            Some(_) | None => {
                let kept = intake.remember(KEY, Bytes::from(seen.to_string())).await;
                kept.map_err(|error| format!("keep the number of the change: {error}"))?;
                seen
            }
        };
        self.place = Some(Place { seen, kept });
        Ok(match place {
            Some(before) if before.seen == seen => Looked::All,
            Some(_) | None => Looked::More,
        })
    }

    /// The place of the last run.
    async fn kept(&self, intake: &Intake) -> Result<Option<Place>, String> {
        let Some(kept) = intake.recall(KEY).await else {
            return Ok(None);
        };
        let kept = number(&kept)?;
        Ok(Some(Place { seen: kept, kept }))
    }

    fn arrival(&self, change: FhirChange) -> Arrival {
        let mut metadata = Metadata::new();
        metadata.set("interaction", name(change.interaction));
        if let Ok(at) = Timestamp::from_millisecond(change.at_ms) {
            let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            metadata.set("last-updated", at);
        }
        let body = match change.interaction {
            FhirInteraction::Create | FhirInteraction::Update => change.body,
            FhirInteraction::Delete => deletion(&change.target),
        };
        Arrival {
            payload: Payload::inline(body),
            peer: Peer::inside(Arc::clone(&self.label)),
            metadata,
            remembers: Some((KEY.into(), Bytes::from(change.number.to_string()))),
        }
    }
}

impl Followed {
    fn takes(&self, interaction: FhirInteraction) -> bool {
        self.on.contains(&match interaction {
            FhirInteraction::Create => On::Create,
            FhirInteraction::Update => On::Update,
            FhirInteraction::Delete => On::Delete,
        })
    }
}

const fn name(interaction: FhirInteraction) -> &'static str {
    match interaction {
        FhirInteraction::Create => "create",
        FhirInteraction::Update => "update",
        FhirInteraction::Delete => "delete",
    }
}

/// A transaction that does the same elsewhere; ids need no escapes.
fn deletion(target: &str) -> Bytes {
    let bundle = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{{\"request\":\
         {{\"method\":\"DELETE\",\"url\":\"{target}\"}}}}]}}"
    );
    bundle.into()
}

fn number(kept: &[u8]) -> Result<i64, String> {
    let text = std::str::from_utf8(kept).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| "the number of the change that was kept cannot be read".to_owned())
}
