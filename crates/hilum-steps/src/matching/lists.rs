//! Lists of a late registration, of which newer ones have told items.
//!
//! Of a list that its sender declares as a snapshot the newest telling is all there is, and an older one
//! is left out. Of a declared delta what newer messages told is left out item by item. A list of which
//! nothing is declared may be read either way by a receiver: it goes on with what it alone has, and behind
//! that with the items that newer messages told, as they told them. Then who adds to what is there loses
//! nothing, and who takes the last list for all there is has no less than the newest one had. The newest
//! come last: a receiver may know by fewer fields than these which item is the same.
//!
//! A late `""` for a whole list ends what was told before it and nothing that was told since. So it goes on too,
//! and behind it what newer messages told, also of a delta: no list has a form that ends one item alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use hilum_component::{Halted, Working};
use hilum_hl7v2::charset::Charset;
use hilum_hl7v2::{EditError, Message, Part, Path, Segment};
use hilum_identity::{ITEM, digest};
use smol_str::{SmolStr, format_smolstr};

use super::late::{HEADER, failed, is_usual, put};
use super::sender::Sender;
use super::withhold;

/// What of a field tells an item from the others.
#[derive(Clone, Copy)]
enum Key {
    /// Code and text: one code may stand for all that has none.
    Code,
    /// Family and given name.
    Name,
    /// All of it.
    Whole,
}

/// Lists of which each item is told for itself, and the fields that tell it from the others. Those of an
/// insurance or a procedure go with segments behind them, and are one.
const ITEMS: [(&str, &[(u32, Key)]); 6] = [
    ("AL1", &[(3, Key::Code)]),
    ("DG1", &[(3, Key::Code), (6, Key::Whole)]),
    ("GT1", &[(3, Key::Name)]),
    (BY_ACTION, &[(7, Key::Whole), (3, Key::Code)]),
    ("NK1", &[(2, Key::Name), (3, Key::Code)]),
    ("OBX", &[(3, Key::Code), (4, Key::Whole)]),
];

/// It says of each item what becomes of it (IAM-6, HL7 v2.5.1 §3.4.7.6), by IAM-7, else IAM-3.
const BY_ACTION: &str = "IAM";

/// Items of one list that are told for themselves; a longer list is one.
const ITEMS_MAX: usize = 100;

/// How lists and their items are named in what is told.
#[derive(Default)]
pub(super) struct Names {
    /// The lists whose items are told for themselves, and whether nothing is declared of them.
    by_item: BTreeMap<&'static str, bool>,
}

impl Names {
    pub(super) fn of(message: &Message, sender: &Sender) -> Self {
        let mut by_item = BTreeMap::new();
        for (list, _) in ITEMS {
            let count = message.segments().filter(|one| one.has_id(list)).count();
            let system = sender.system.as_deref();
            if count == 0
                || count > ITEMS_MAX
                || system.is_some_and(|system| system.snapshots.contains_key(list))
            {
                continue;
            }
            let is_delta =
                list == BY_ACTION || system.is_some_and(|system| system.deltas.contains(list));
            by_item.insert(list, !is_delta);
        }
        Self { by_item }
    }

    /// Whether items of that name are kept, to be said again with what comes late.
    pub(super) fn keeps(&self, name: &str) -> bool {
        let list = list_of(name).filter(|list| *list != BY_ACTION);
        list.is_some_and(|list| self.by_item.contains_key(list))
    }

    /// Whether a segment deletes all of its list, whose items are told for themselves.
    pub(super) fn deletes_all(&self, segment: &Segment<'_>) -> bool {
        let id = segment.id();
        if id == BY_ACTION || !self.by_item.contains_key(&*id) {
            return false;
        }
        let keys = ITEMS.iter().find(|(list, _)| *list == id);
        let first = keys.and_then(|(_, keys)| keys.first());
        let first = first.and_then(|(n, _)| segment.field(*n));
        first.is_some_and(|field| field.is_null())
    }

    /// The name of the list to which a segment belongs, or of itself where it is told for itself. Its
    /// content cannot be read from it.
    pub(super) fn name(&self, segment: &Segment<'_>) -> SmolStr {
        let id = segment.id();
        let known = ITEMS.iter().find(|(list, _)| *list == id);
        let Some((list, keys)) = known.filter(|_| self.by_item.contains_key(&*id)) else {
            return id.into();
        };
        let field = |n: u32| segment.field(n).filter(|field| !field.is_blank());
        if *list == BY_ACTION {
            let mut said = keys.iter().filter_map(|(n, key)| Some((field(*n)?, *key)));
            let item = said.next().map(|(field, key)| told(Some(field), key));
            return named(&id, item.into_iter().flatten());
        }
        let first = keys.first().and_then(|(n, _)| field(*n));
        match first {
            // The list is deleted as a whole.
            Some(first) if first.is_null() => id.into(),
            Some(_) => {
                let each = keys.iter().map(|(n, key)| told(field(*n), *key));
                named(&id, each.flatten())
            }
            None => {
                let said = || segment.fields().skip(1);
                if said().all(|field| field.is_blank()) {
                    return format_smolstr!("{id}{ITEM}");
                }
                named(&id, said().map(|field| field.raw()))
            }
        }
    }

    /// Takes out of a message what newer ones have said of the lists of which nothing is declared or all is
    /// deleted, and says the items that they told again. Gives those lists.
    pub(super) fn say_again(
        &self,
        message: &mut Working,
        said: &BTreeSet<String>,
        items: &[(String, Option<String>)],
    ) -> Result<BTreeSet<&'static str>, Halted> {
        let mut done = BTreeSet::new();
        for (list, is_open) in &self.by_item {
            let is_own = |name: &str| list_of(name) == Some(list);
            let newest: Vec<_> = items.iter().filter(|(name, _)| is_own(name)).collect();
            let Some(v2) = read(message) else {
                break;
            };
            let own: Vec<_> = v2.segments().filter(|one| one.has_id(list)).collect();
            let is_over = |one: &&Segment<'_>| said.contains(&*self.name(one));
            let (over, news): (Vec<&Segment<'_>>, Vec<_>) = own.iter().partition(is_over);
            let deletes = news.iter().any(|one| self.deletes_all(one));
            if !(*is_open || deletes) {
                continue;
            }
            done.insert(*list);
            let is_kept = newest.iter().all(|(_, text)| text.is_some());
            let lost = |one: &&&Segment<'_>| !is_kept && (*is_open || self.deletes_all(one));
            let out = over.iter().chain(news.iter().filter(lost));
            let out = out.map(|one| one.index()).collect();
            let is_told = !news.is_empty() && !newest.is_empty() && is_kept;
            withhold(message, out)?;
            if !is_told {
                continue;
            }
            let Some(v2) = message.document.as_any_mut().downcast_mut::<Message>() else {
                return Ok(done);
            };
            let last = v2.segments().rfind(|one| one.has_id(list));
            let mut at = last.map_or(0, |one| behind(&one).end);
            for (_, text) in newest {
                at = say(v2, at, text.as_deref().unwrap_or_default()).map_err(failed)?;
            }
            number(v2, list).map_err(failed)?;
        }
        Ok(done)
    }
}

fn read(message: &Working) -> Option<&Message> {
    message.document.as_any().downcast_ref::<Message>()
}

fn list_of(name: &str) -> Option<&str> {
    name.split_once(ITEM).map(|(list, _)| list)
}

/// What a field tells of an item, in two parts.
fn told<'m>(field: Option<Part<'m>>, key: Key) -> [&'m [u8]; 2] {
    let Some(field) = field else {
        return [b"", b""];
    };
    let component = |n| {
        let part = field.nth(1).and_then(|first| first.nth(n));
        part.filter(|part| !part.is_blank())
            .map_or(&b""[..], |part| part.raw())
    };
    match key {
        Key::Code | Key::Name => [component(1), component(2)],
        Key::Whole => [field.raw(), b""],
    }
}

fn named<'t>(id: &str, texts: impl Iterator<Item = &'t [u8]>) -> SmolStr {
    format_smolstr!("{id}{ITEM}{:016x}", digest(texts))
}

/// An item with the notes behind it, with the separators of the standard, in UTF-8.
pub(super) fn text<'m>(
    segment: &Segment<'m>,
    scratch: &mut Option<Message>,
) -> Option<Cow<'m, str>> {
    let mut all = line(segment, scratch)?;
    for note in behind(segment).filter_map(|at| segment.message().segment(at)) {
        all = format!("{all}\r{}", line(&note, scratch)?).into();
    }
    Some(all)
}

/// The notes behind a segment.
fn behind(segment: &Segment<'_>) -> Range<usize> {
    let from = segment.index() + 1;
    let all = segment.message().segments().skip(from);
    from..from + all.take_while(|one| one.has_id("NTE")).count()
}

fn line<'m>(segment: &Segment<'m>, scratch: &mut Option<Message>) -> Option<Cow<'m, str>> {
    let message = segment.message();
    let is_utf8 = message.charset() == Charset::Utf8 || segment.raw().is_ascii();
    if is_usual(message) && is_utf8 {
        return std::str::from_utf8(segment.raw()).ok().map(Cow::Borrowed);
    }
    if scratch.is_none() {
        *scratch = Message::parse(HEADER.as_bytes().to_vec()).ok();
    }
    let copy = scratch.as_mut()?;
    let at = copy.insert_segment(1, &segment.id()).ok()?;
    let filled = segment.fields().filter(|field| !field.is_empty());
    let mut written = filled.map(|field| put(copy, &segment.id(), field.field_number(), field));
    let all = written.try_for_each(|one| one);
    let text = copy.segment(at)?.raw().to_vec();
    copy.remove_segment(at).ok()?;
    all.ok()?;
    String::from_utf8(text).ok().map(Cow::Owned)
}

/// Writes an item before the segment at an index; gives that of what follows it.
fn say(message: &mut Message, mut at: usize, text: &str) -> Result<usize, EditError> {
    let Ok(item) = Message::parse(format!("{HEADER}{text}\r").into_bytes()) else {
        return Ok(at);
    };
    for segment in item.segments().skip(1) {
        let id = segment.id();
        at = message.insert_segment(at, &id)?;
        let before = message.segments().take(at + 1);
        let nth = before.filter(|one| one.has_id(&id)).count();
        for field in segment.fields().filter(|field| !field.is_empty()) {
            put(
                message,
                &format!("{id}[{nth}]"),
                field.field_number(),
                field,
            )?;
        }
        at += 1;
    }
    Ok(at)
}

/// Counts the items of a list anew, where they are counted (set id).
fn number(message: &mut Message, list: &str) -> Result<(), EditError> {
    let own = message.segments().filter(|one| one.has_id(list));
    let counted = |one: Segment<'_>| one.field(1).is_some_and(|field| !field.is_blank());
    let counted: Vec<bool> = own.map(counted).collect();
    for (nth, _) in (1..).zip(counted).filter(|(_, is_counted)| *is_counted) {
        let path = format!("{list}[{nth}]-1");
        if let Ok(path) = Path::parse(&path) {
            message.set(&path, &nth.to_string())?;
        }
    }
    Ok(())
}
