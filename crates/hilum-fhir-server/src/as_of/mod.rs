//! What a source said when: an update that carries the time of its source is merged with what is
//! there, so that the same messages end in the same resource in whatever order they come.
//!
//! - `times`: when each element of a version was so, kept beside it and given to nobody.
//! - `parts`: a resource as the elements that have a time each.
//! - `inactive`: why a patient who is replaced is not active.
//! - `listed`: what a list that is all there is does not have any more has ended.
//! - `merge`: the newer element wins, what is absent stays, what is deleted goes.
//!
//! A resource of which nothing is newer becomes a version with a tag, and the one before it is
//! written again behind it: the history is whole, and what is current is what it was.

mod inactive;
mod listed;
mod merge;
mod parts;
mod times;

use hilum_fhir::{IssueType, Node, Resource};
use hilum_fhir_store::Body;
use hilum_message::{SourceTime, as_of};

pub(crate) use listed::{Listed, ended};
pub(crate) use merge::{Current, Outcome, fresh, merge};
pub(crate) use times::{Own, Times, late};

use crate::fault::Fault;
use crate::request::decode;
use crate::write::{items, members};

/// What a source says of the time of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Timed {
    /// When it was so.
    pub(crate) time: SourceTime,
    /// The elements that it deletes: `address`, `period.end`.
    pub(crate) deletes: Vec<String>,
    /// The elements that it takes back: what comes in them is no more, where it is still so.
    pub(crate) takes_back: Vec<String>,
    /// What is moved to another patient with it.
    pub(crate) moves: Option<Moves>,
    /// The identifiers that it does not have any more, system and value.
    pub(crate) gives_up: Vec<(String, String)>,
    /// The identifiers under which others are known whom it replaces, system and value.
    pub(crate) replaces: Vec<(String, String)>,
    /// The lists of it that come with all there is.
    pub(crate) whole: Vec<String>,
    /// The list that it is in.
    pub(crate) listed: Option<String>,
}

/// What is moved to another patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// A visit or an account, with what belongs to it.
    Subject,
    /// All that is under the numbers of the resource, a patient that has no others.
    Numbers,
}

impl Timed {
    /// A time alone.
    pub(crate) const fn plain(time: SourceTime) -> Self {
        Self {
            time,
            deletes: Vec::new(),
            takes_back: Vec::new(),
            moves: None,
            gives_up: Vec::new(),
            replaces: Vec::new(),
            whole: Vec::new(),
            listed: None,
        }
    }
}

/// The time of all entries of a Bundle.
pub(crate) fn of_bundle(bundle: &Resource) -> Result<Option<SourceTime>, Fault> {
    let Some(meta) = bundle.root().child("meta") else {
        return Ok(None);
    };
    time(meta).map_err(|fault| fault.within("Bundle.meta"))
}

/// The time of one entry, and what it deletes.
pub(crate) fn of_request(
    request: Node<'_>,
    of_bundle: Option<SourceTime>,
) -> Result<Option<Timed>, Fault> {
    let Some(time) = time(request)?.or(of_bundle) else {
        return Ok(None);
    };
    let names = |url| {
        let text = extension(request, url).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    Ok(Some(Timed {
        time,
        deletes: names(as_of::DELETES),
        takes_back: names(as_of::TAKES_BACK),
        moves: extension(request, as_of::MOVES).map(|what| match what {
            as_of::WITH_NUMBERS => Moves::Numbers,
            _ => Moves::Subject,
        }),
        gives_up: identifiers(extension(request, as_of::GIVES_UP).unwrap_or_default())?,
        replaces: identifiers(extension(request, as_of::REPLACES).unwrap_or_default())?,
        whole: names(as_of::WHOLE),
        listed: extension(request, as_of::LISTED).map(str::to_owned),
    }))
}

/// Identifiers as a source names them.
fn identifiers(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let unread = || {
        Fault::bad(
            IssueType::Value,
            "an identifier that is given up cannot be read",
        )
    };
    let one = |text: &str| {
        let (system, value) = text.split_once('|').ok_or_else(unread)?;
        let plain = |part| decode(part).map_err(|_| unread());
        Ok((plain(system)?, plain(value)?))
    };
    text.split_whitespace().map(one).collect()
}

fn time(at: Node<'_>) -> Result<Option<SourceTime>, Fault> {
    let Some(text) = extension(at, as_of::TIME) else {
        return Ok(None);
    };
    let unread = || Fault::bad(IssueType::Value, "the time of the source cannot be read");
    as_of::read(text).ok_or_else(unread).map(Some)
}

fn extension<'r>(at: Node<'r>, url: &str) -> Option<&'r str> {
    at.children_named("extension")
        .find(|extension| extension.child_text("url") == Some(url))?
        .child_text("value")
}

/// Whether a version changes nothing: it came late, or repeats what was there before one that did.
pub(crate) fn is_quiet(body: &Body) -> bool {
    times::is_quiet(&body.beside)
}

/// A resource in compact JSON without elements of its own.
pub(crate) fn without(json: &[u8], names: &[String]) -> Vec<u8> {
    let is_named = |member: &[u8]| names.iter().any(|name| name.as_bytes() == member);
    let all = members(json);
    let kept: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| !is_named(name))
        .collect();
    parts::object(&kept)
}

/// A resource in compact JSON with the tag that says that it came late.
pub(crate) fn tagged(json: &[u8]) -> Vec<u8> {
    let tag = format!(
        "{{\"system\":\"{}\",\"code\":\"{}\"}}",
        as_of::TAG,
        as_of::LATE
    );
    let all = members(json);
    let meta = all.iter().find(|(name, _)| *name == b"meta");
    let own = meta.map(|(_, meta)| members(meta)).unwrap_or_default();
    let known = own.iter().find(|(name, _)| *name == b"tag");
    let mut tags: Vec<&[u8]> = known.map(|(_, tags)| items(tags)).unwrap_or_default();
    tags.push(tag.as_bytes());
    let tags = [b"[", &tags.join(&b","[..])[..], b"]"].concat();
    let others = own.iter().filter(|(name, _)| *name != b"tag").copied();
    let meta: Vec<_> = others.chain([(&b"tag"[..], &tags[..])]).collect();
    let meta = parts::object(&meta);
    let head = all.iter().filter(|(name, _)| *name == b"resourceType");
    let rest = all
        .iter()
        .filter(|(name, _)| !matches!(*name, b"resourceType" | b"meta"));
    let whole: Vec<_> = head
        .copied()
        .chain([(&b"meta"[..], &meta[..])])
        .chain(rest.copied())
        .collect();
    parts::object(&whole)
}
