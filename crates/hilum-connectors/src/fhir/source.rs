//! The source for a server elsewhere: a search on a schedule, a message for each resource that
//! changed, the cursor kept. A store of this node is followed (`follow`).
//!
//! Each look asks for what changed since a little before the last change that was seen, oldest
//! first, and leaves out the versions that were seen already. So a change that the server shows
//! late is not missed, and one that shares its time with others is not lost at a page's end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hilum_component::{
    Arrival, BoxFuture, BuildContext, Built, DeliveryError, Disposition, FhirPlace, Intake,
    Peer as Sender, Problem, Source, SourceError, SourceFactory, Stop,
};
use hilum_message::{Metadata, Payload};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::config::{On, SourceConfig};
use super::follow::{self, Followed, Follower};
use super::notified::{Calls, Notified};
use super::peer::{LOCAL, Peer, Place, Server};
use crate::endpoint;

/// The longest page.
const PAGE_BYTES_MAX: usize = 50_000_000;
/// Pages of one look; the next look goes on from the cursor.
const PAGES_MAX: usize = 1_000;
/// Versions that are remembered to be left out; beyond it the oldest may come again.
const SEEN_MAX: usize = 10_000;
/// Resources of a page, at most.
const PAGE_MAX: u32 = 1_000;

pub(super) fn build(value: &Value, context: &BuildContext<'_>) -> Built<SourceFactory> {
    let config: SourceConfig = endpoint::read(value)?;
    let mut problems = Vec::new();
    let server = Server {
        key: "from",
        address: config.from.as_deref(),
        tenant: config.tenant.as_deref(),
        system: config.system.as_ref(),
        shown: (
            config.key.as_ref(),
            config.basic.as_ref(),
            config.bearer.as_ref(),
        ),
        tls: config.tls.as_ref(),
        connect_within: config.connect_within,
    };
    let place = server.place(context, &mut problems);
    let start = endpoint::noting(&mut problems, Start::parse(&config.start));
    check(&config, &mut problems);
    let notified = Notified::built(config.notifications.as_ref(), context, &mut problems);
    let (Some(place), Some(start), true) = (place, start, problems.is_empty()) else {
        return Err(problems);
    };
    let query = config.query.as_deref().unwrap_or_default();
    let query = query.trim_matches('&').to_owned();
    let every = config.every.duration().max(Duration::from_millis(1));
    let address = place.address();
    if let Place::Local { door, tenant } = place {
        let followed = Arc::new(Followed {
            door,
            tenant,
            address,
            types: config.types,
            query,
            on: config.on.unwrap_or_else(|| vec![On::Create, On::Update]),
            start: start.place(),
            every,
            page: config.page as usize,
        });
        return Ok(Arc::new(move || {
            Box::new(Follower::new(Arc::clone(&followed)))
        }));
    }
    let settings = Arc::new(Settings {
        place,
        start,
        types: config.types,
        query,
        every,
        overlap_ms: i64::try_from(config.overlap.0).unwrap_or(i64::MAX),
        page: config.page,
        within: config.answer_within.duration(),
    });
    Ok(Arc::new(move || {
        let peer = settings.place.open(1, settings.within);
        let looker = Looker {
            label: peer.address().into(),
            settings: Arc::clone(&settings),
            peer,
            looks: 0,
        };
        let notified = notified.as_ref().map(Notified::new);
        Box::new(FhirSource { looker, notified })
    }))
}

fn check(config: &SourceConfig, problems: &mut Vec<Problem>) {
    if config.types.is_empty() {
        problems.push(Problem::at(&["types"], "at least one type is needed"));
    }
    for (at, name) in config.types.iter().enumerate() {
        let named = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphabetic());
        if !named
            || config
                .types
                .get(..at)
                .is_some_and(|before| before.contains(name))
        {
            let key = ["types", &at.to_string()];
            problems.push(Problem::at(&key, "expected each type of resource once"));
        }
    }
    let local = config.from.as_deref() == Some(LOCAL);
    if config.on.is_some() && !local {
        let text =
            "a search of a server elsewhere does not tell creates, updates and deletes apart";
        problems.push(Problem::at(&["on"], text));
    }
    if config.on.as_ref().is_some_and(Vec::is_empty) {
        problems.push(Problem::at(
            &["on"],
            "at least one of create, update, delete is needed",
        ));
    }
    if config.notifications.is_some() && local {
        let text = "a store of this node says by itself when something changes";
        problems.push(Problem::at(&["notifications"], text));
    }
    let query = config.query.as_deref().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '?');
    let own = ["_lastUpdated", "_sort", "_count"];
    let taken = query.split('&').any(|part| {
        let name = part.split(['=', ':']).next().unwrap_or_default();
        own.contains(&name)
    });
    if !query.chars().all(plain) || taken {
        let text = "expected criteria such as `category=LAB&subject=Patient/7`, encoded as in a URL, without _lastUpdated, _sort and _count";
        problems.push(Problem::at(&["query"], text));
    } else if local {
        problems.extend(follow::refused(query));
    }
    if config.page == 0 || config.page > PAGE_MAX {
        let text = format!("expected 1 to {PAGE_MAX}");
        problems.push(Problem::at(&["page"], text));
    }
}

/// Where the first look begins.
#[derive(Clone, Copy)]
enum Start {
    Now,
    Beginning,
    At(Timestamp),
}

impl Start {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "now" => Ok(Self::Now),
            "beginning" => Ok(Self::Beginning),
            text => text.parse().map(Self::At).map_err(|_| {
                let text = "expected `now`, `beginning` or a time such as 2026-01-01T00:00:00Z";
                Problem::at(&["start"], text)
            }),
        }
    }
}

impl Start {
    /// The place in the changes of a store of this node.
    fn place(self) -> FhirPlace {
        match self {
            Self::Now => FhirPlace::End,
            Self::Beginning => FhirPlace::Beginning,
            Self::At(time) => FhirPlace::Time(time.as_millisecond()),
        }
    }
}

struct Settings {
    place: Place,
    start: Start,
    types: Vec<String>,
    query: String,
    every: Duration,
    overlap_ms: i64,
    page: u32,
    within: Duration,
}

struct FhirSource {
    looker: Looker,
    notified: Option<Notified>,
}

/// What each look needs.
struct Looker {
    settings: Arc<Settings>,
    peer: Peer,
    label: Arc<str>,
    looks: u64,
}

/// How far the changes of one type were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Milliseconds since 1970 from which the next look asks; from the beginning without it.
    since_ms: Option<i64>,
    /// The versions from there on that were seen: time and `id/version`.
    seen: BTreeSet<(i64, String)>,
}

impl Cursor {
    /// Notes what was seen.
    fn note(&mut self, updated_ms: i64, version: String) {
        self.seen.insert((updated_ms, version));
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
    }

    /// Moves up to `overlap_ms` before the last change that was seen, never back.
    fn advance(&mut self, overlap_ms: i64) {
        let Some((last, _)) = self.seen.last() else {
            return;
        };
        let since = last.saturating_sub(overlap_ms);
        if self.since_ms.is_none_or(|before| before < since) {
            self.since_ms = Some(since);
            self.seen = self.seen.split_off(&(since, String::new()));
        }
    }
}

/// Why a look failed.
struct Failure {
    text: String,
    hint: Option<String>,
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        Self {
            text: error.message,
            hint: error.hint,
        }
    }
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text, hint: None }
    }
}

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow, default)]
    entry: Vec<Entry<'t>>,
    #[serde(default)]
    link: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    relation: String,
    url: String,
}

#[derive(Deserialize)]
struct Entry<'t> {
    #[serde(borrow)]
    resource: Option<&'t RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: String,
    id: String,
    meta: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    version_id: Option<String>,
    last_updated: String,
}

impl Source for FhirSource {
    /// The server may be away when a channel starts: the first look tells.
    fn open(&mut self) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        Box::pin(async {
            let address = self.looker.peer.address().to_owned();
            match &mut self.notified {
                Some(notified) => Ok(notified.open().await?.or(Some(address))),
                None => Ok(Some(address)),
            }
        })
    }

    fn run<'a>(
        &'a mut self,
        intake: Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move {
            let looker = &mut self.looker;
            let settings = Arc::clone(&looker.settings);
            let mut calls = match self.notified.take() {
                Some(notified) => Some(notified.run(&intake, &stop).await),
                None => None,
            };
            while !stop.is_requested() {
                for resource_type in &settings.types {
                    looker.looks += 1;
                    let looked = looker.look(resource_type, &intake, &stop).await;
                    if let Err(Failure { text, hint }) = looked {
                        let (address, error) = (looker.peer.address(), text);
                        tracing::warn!(%address, %error, hint, "a look at the FHIR server failed");
                    }
                }
                tokio::select! {
                    () = stop.requested() => {}
                    () = tokio::time::sleep(settings.every) => {}
                    () = called(&mut calls) => {}
                }
            }
            looker.peer.close();
            match calls {
                Some(calls) => calls.ended().await,
                None => Ok(()),
            }
        })
    }
}

/// Returns when a subscription called since the last look began.
async fn called(calls: &mut Option<Calls>) {
    match calls {
        Some(calls) => calls.called().await,
        None => std::future::pending().await,
    }
}

impl Looker {
    /// Takes what changed of one type.
    async fn look(&self, resource_type: &str, intake: &Intake, stop: &Stop) -> Result<(), Failure> {
        let key = format!("cursor.{resource_type}");
        let mut cursor = self.cursor(&key, intake).await?;
        let mut target = self.target(resource_type, &cursor)?;
        for _ in 0..PAGES_MAX {
            let answer = self.peer.read(&target, PAGE_BYTES_MAX).await?;
            if answer.status != 200 {
                let (address, status) = (self.peer.address(), answer.status);
                return Err(Failure::new(format!(
                    "{address} answered {status} to the search"
                )));
            }
            let body = answer.body.unwrap_or_default();
            let page: Bundle<'_> = serde_json::from_slice(&body)
                .map_err(|_| Failure::new("the answer to the search is no Bundle of JSON"))?;
            let whole = self
                .page(&page, resource_type, &mut cursor, intake, stop)
                .await;
            cursor.advance(self.settings.overlap_ms);
            self.keep(&key, &cursor, intake).await?;
            if !whole? {
                return Ok(());
            }
            let Some(next) = page.link.iter().find(|link| link.relation == "next") else {
                return Ok(());
            };
            target = self
                .peer
                .target_of(&next.url, resource_type)
                .ok_or_else(|| Failure::new("the link to the next page leads elsewhere"))?;
        }
        Ok(())
    }

    /// Takes the new ones of a page; tells whether all were taken.
    async fn page(
        &self,
        page: &Bundle<'_>,
        resource_type: &str,
        cursor: &mut Cursor,
        intake: &Intake,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        for resource in page.entry.iter().filter_map(|entry| entry.resource) {
            let head: Head = serde_json::from_str(resource.get()).map_err(|_| {
                Failure::new("a resource of the answer has no id or no meta.lastUpdated")
            })?;
            // What was included, and outcomes, are no changes of this type.
            if head.resource_type != resource_type {
                continue;
            }
            let updated: Timestamp = head.meta.last_updated.parse().map_err(|_| {
                Failure::new("the meta.lastUpdated of a resource of the answer is no time")
            })?;
            let updated_ms = updated.as_millisecond();
            let version = head.meta.version_id.as_deref().unwrap_or_default();
            let version = format!("{}/{version}", head.id);
            if cursor.seen.contains(&(updated_ms, version.clone())) {
                continue;
            }
            if stop.is_requested() {
                return Ok(false);
            }
            let mut metadata = Metadata::new();
            metadata.set("last-updated", head.meta.last_updated);
            let arrival = Arrival {
                payload: Payload::inline(Bytes::copy_from_slice(resource.get().as_bytes())),
                peer: Sender {
                    label: Arc::clone(&self.label),
                    connection: self.looks,
                },
                metadata,
                remembers: None,
            };
            if intake.take(arrival).await.disposition == Disposition::Failed {
                return Ok(false);
            }
            cursor.note(updated_ms, version);
        }
        Ok(true)
    }

    /// The cursor that was kept, or the one of the first look.
    async fn cursor(&self, key: &str, intake: &Intake) -> Result<Cursor, Failure> {
        if let Some(kept) = intake.recall(key).await {
            return serde_json::from_slice(&kept)
                .map_err(|_| Failure::new("the cursor that was kept cannot be read"));
        }
        let cursor = Cursor {
            since_ms: match self.settings.start {
                Start::Now => Some(i64::try_from(intake.now_ms()).unwrap_or(i64::MAX)),
                Start::Beginning => None,
                Start::At(time) => Some(time.as_millisecond()),
            },
            seen: BTreeSet::new(),
        };
        // Kept at once: `now` is the first start of the channel, whatever comes after.
        self.keep(key, &cursor, intake).await?;
        Ok(cursor)
    }

    async fn keep(&self, key: &str, cursor: &Cursor, intake: &Intake) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(cursor)
            .map_err(|error| Failure::new(format!("write the cursor: {error}")))?;
        let kept = intake.remember(key, Bytes::from(bytes)).await;
        kept.map_err(|error| Failure::new(format!("keep the cursor: {error}")))
    }

    fn target(&self, resource_type: &str, cursor: &Cursor) -> Result<String, Failure> {
        let settings = &self.settings;
        let mut target = format!(
            "{resource_type}?_sort=_lastUpdated&_count={}",
            settings.page
        );
        if let Some(since) = cursor.since_ms {
            let time = Timestamp::from_millisecond(since)
                .map_err(|_| Failure::new("the cursor is no time"))?;
            target.push_str(&format!(
                "&_lastUpdated=ge{}",
                time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            ));
        }
        if !settings.query.is_empty() {
            target.push('&');
            target.push_str(&settings.query);
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stays_behind_the_last_change_and_forgets_what_lies_before() {
        let mut cursor = Cursor::default();
        cursor.advance(5);
        assert_eq!(cursor, Cursor::default());
        for (time, version) in [(10, "a/1"), (12, "b/1"), (20, "a/2")] {
            cursor.note(time, version.to_owned());
        }
        cursor.advance(8);
        assert_eq!(cursor.since_ms, Some(12));
        let left: Vec<_> = cursor
            .seen
            .iter()
            .map(|(_, version)| version.as_str())
            .collect();
        assert_eq!(left, ["b/1", "a/2"]);
        cursor.advance(100);
        assert_eq!(cursor.since_ms, Some(12), "never back");
        let kept = serde_json::to_vec(&cursor).unwrap();
        assert_eq!(serde_json::from_slice::<Cursor>(&kept).unwrap(), cursor);
    }
}
