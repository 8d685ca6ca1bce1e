//! What a source that asks a FHIR store withholds of a result: a search that names a status finds a resource no
//! more once that changes, and a source of new resources alone does not take what becomes of them.

use std::borrow::Cow;
use std::ops::Range;

use super::resources::{ORDERED, TAKEN_BACK, named};
use super::statuses::withholds;
use crate::check::Piece;
use crate::diagnostic::Draft;
use crate::plan::channel::Checked;
use crate::yaml::Node;

/// The source that searches.
const SEARCHES: &str = "fhir";

/// The search parameter of a status (FHIR R4 observation.html#search and its like).
const STATUS: &str = "status";

/// What of a source lets final results in and not what takes them back.
pub(super) fn withheld(channel: &Checked<'_>) -> Vec<Draft> {
    let source = channel.source().filter(|piece| piece.name == SEARCHES);
    let Some(piece) = source else {
        return Vec::new();
    };
    let found = [of_query(piece), of_changes(piece)];
    found.into_iter().flatten().collect()
}

/// A search that finds the final result and not what takes it back.
fn of_query(piece: &Piece) -> Option<Draft> {
    let node = piece.node.get("query")?;
    let query = node.text()?;
    let criteria = criteria(query);
    let finds = |status: &str| criteria.iter().all(|one| one.holds(status));
    let withheld: Vec<_> = taken_back(piece, finds)
        .filter(|(_, status)| !finds(status))
        .collect();
    if withheld.is_empty() {
        return None;
    }
    let at = withheld.iter().find_map(|(_, status)| {
        let mut own = criteria.iter();
        own.find(|one| !one.holds(status))
    });
    let mut statuses: Vec<&str> = Vec::new();
    for (_, status) in &withheld {
        if !statuses.contains(status) {
            statuses.push(status);
        }
    }
    let instead = match at {
        Some(one) if !one.not && criteria.len() == 1 => {
            let written = query.get(one.at.clone()).unwrap_or_default();
            format!("`{written},{}`", statuses.join(","))
        }
        _ => format!("what it leaves out: {}", statuses.join(", ")),
    };
    let remedy = format!(
        "leave `status` out of the search, or let it find the others as well ({instead}), or write \
         why not: `silence: {{ W0315: … }}` (the wrong value stays where it was sent)"
    );
    let span = at.map_or(node.span, |one| node.part(&one.at));
    Some(Draft::warning("W0315", span, text(&withheld)).remedy(remedy))
}

/// A source of a store that takes what is new, and not what becomes of it.
fn of_changes(piece: &Piece) -> Option<Draft> {
    let node = piece.node.get("on")?;
    let on = |what: &str| node.items().iter().any(|item| item.text() == Some(what));
    if !on("create") || on("update") {
        return None;
    }
    let withheld: Vec<_> = taken_back(piece, |_| true).collect();
    let remedy = "what takes a result back is an update of it: add `update`, or write why not: \
                  `silence: { W0315: … }` (the wrong value stays where it was sent)";
    let draft = Draft::warning("W0315", node.span, text(&withheld)).remedy(remedy);
    (!withheld.is_empty()).then_some(draft)
}

fn text(withheld: &[(&str, &str)]) -> String {
    let list = withheld.iter();
    let list: Vec<String> = list.map(|(ty, status)| named(ty, status)).collect();
    withholds("becomes a message", &list)
}

/// What takes a resource of the source back, for each type of which the source takes what is final.
fn taken_back<'p>(
    piece: &'p Piece,
    takes: impl Fn(&str) -> bool + 'p,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'p {
    let types = piece.node.get("types").map(Node::items).unwrap_or_default();
    let is_asked = move |ty: &str| {
        let known = types.iter().any(|item| item.text() == Some(ty));
        let last: &[&str] = if ty == "ServiceRequest" {
            &ORDERED
        } else {
            &["final"]
        };
        known && last.iter().any(|status| takes(status))
    };
    TAKEN_BACK.into_iter().filter(move |(ty, _)| is_asked(ty))
}

/// A search finds a resource with this status, as far as it is about statuses.
pub(super) fn finds(query: &str, status: &str) -> bool {
    criteria(query).iter().all(|one| one.holds(status))
}

/// A criterion of a search that is about the status.
struct Criterion {
    at: Range<usize>,
    not: bool,
    statuses: Vec<String>,
}

impl Criterion {
    /// A resource with this status meets it.
    fn holds(&self, status: &str) -> bool {
        let named = self.statuses.iter().any(|one| one == status);
        named != self.not
    }
}

/// The criteria of a search that are about the status, each of which has to hold (FHIR R4
/// search.html#combining). What other modifiers say is not known here.
fn criteria(query: &str) -> Vec<Criterion> {
    let mut found = Vec::new();
    let mut from = 0;
    for part in query.split('&') {
        let at = from..from + part.len();
        from = at.end + 1;
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decoded(name), decoded(value));
        let not = match name.split_once(':') {
            None if name == STATUS => false,
            Some((STATUS, "not")) => true,
            _ => continue,
        };
        // A code alone, or behind the system that it is from.
        let codes = value
            .split(',')
            .map(|one| one.rsplit('|').next().unwrap_or(one));
        let statuses: Vec<String> = codes.map(str::to_lowercase).collect();
        // A system without a code is every code of it.
        if !statuses.iter().any(String::is_empty) {
            found.push(Criterion { at, not, statuses });
        }
    }
    found
}

/// A text of a URL without its escapes (RFC 3986 §2.1); one that is none stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}
