//! The Bundle around the resources: what is the same is one, ids derive from the message, and the
//! transaction updates what is known.

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, Definitions, TypeId};
use hilum_fhir::{At, Resource};

use super::names::names;
use super::told::Told;
use super::{Made, NOTHING, Pending, Reason, Run, narrow};
use crate::plan::{Joined, KeyDef, Src};
use crate::settings::{BundleType, Original};
use crate::text::How;
use crate::value::{encode, hash};

/// The system of identifiers that derive from texts of a message.
pub(super) const DERIVED: &str = "urn:hilum:derived";

/// What stands in front of the id of a resource.
const UUID: &str = "urn:uuid:";

/// Places within places that a number is told with.
const PARTS_MAX: usize = 8;

/// The media type of HL7 v2 with `|` and `^`.
const ER7: &str = "x-application/hl7-v2+er7";

/// Which of the resources that were made stand in the Bundle.
#[derive(Debug)]
pub(super) struct Unified {
    /// By what each is known.
    known: Vec<Option<Known>>,
    /// The one that it became.
    same: Vec<Option<u32>>,
}

/// By what a resource is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) system: String,
    pub(super) value: String,
    pub(super) how: How,
}

/// How often each joined key was met.
type Joins = HashMap<(TypeId, String), u32>;

/// A key with its number where the message has it more than once: ten lines of text with one test
/// code are ten results.
fn numbered(joins: &mut Joins, ty: TypeId, value: String) -> String {
    let count = joins.entry((ty, value.clone())).or_default();
    *count += 1;
    match *count {
        1 => value,
        count => format!("{value}|{count}"),
    }
}

impl Run<'_, '_> {
    pub(super) fn bundle_type(&mut self) {
        let text = match self.settings.bundle {
            BundleType::Transaction => "transaction",
            BundleType::Message => "message",
            BundleType::Collection => "collection",
        };
        let root = self.draft.root();
        self.put(root, names().bundle_type, text);
    }

    /// Writes a text that has the form of its element.
    pub(super) fn put(&mut self, parent: At, child: Child, text: &str) {
        if let Some(at) = self.draft.single(parent, child)
            && self.draft.text(at).is_none()
        {
            let _known = self.draft.set(at, text);
        }
    }

    /// Keeps the message as it came.
    pub(super) fn original(&mut self) {
        let names = names();
        if self.settings.original == Original::None {
            return;
        }
        let data = encode::base64(&self.message.write());
        if data.is_empty() {
            return;
        }
        match self.settings.original {
            Original::None => {}
            Original::Binary => {
                if let Some(made) = self.make(names.binary, 0, true) {
                    let node = self.node(made);
                    self.put(node, names.binary_content, ER7);
                    self.put(node, names.binary_data, &data);
                }
            }
            Original::DocumentReference => {
                if let Some(made) = self.make(names.document, 0, true) {
                    let node = self.node(made);
                    self.put(node, names.document_status, "current");
                    let content = self.draft.append(node, names.document_content);
                    if let Some(attachment) = self.draft.single(content, names.attachment) {
                        self.put(attachment, names.attachment_type, ER7);
                        self.put(attachment, names.attachment_data, &data);
                    }
                }
            }
        }
    }

    /// Makes one of what is the same, and leaves out what came to nothing.
    pub(super) fn unify(&mut self) -> Unified {
        let count = self.made.len();
        let refers = self.pending_texts();
        let alive = self.alive(&refers);
        let mut joins = Joins::new();
        let mut told = Told::default();
        let mut known: Vec<Option<Known>> = (0..count)
            .map(|at| match alive.get(at) {
                Some(true) => self.known(narrow(at), &refers, &mut joins, &mut told),
                _ => None,
            })
            .collect();
        self.know_by_content(&mut known, &alive, &refers);
        let same = self.same(&known, &alive, &refers);
        self.conflicts(&same);
        for pending in std::mem::take(&mut self.pending) {
            match same.get(pending.made as usize).copied().flatten() {
                Some(made) => self.pending.push(Pending { made, ..pending }),
                // What it referred to came to nothing.
                None => self.draft.remove(pending.text),
            }
        }
        for (at, to) in same.iter().enumerate().skip(1) {
            if *to != Some(narrow(at))
                && let Some(made) = self.made.get(at)
            {
                self.draft.remove(made.entry);
            }
        }
        Unified { known, same }
    }

    /// Which resources say something: by a value, or by a reference to one that does.
    fn alive(&self, refers: &[u32]) -> Vec<bool> {
        let content = self.draft.content(|_| false);
        let holds = |made: &Made| content.get(made.node.index()) == Some(&true);
        let mut alive: Vec<bool> = self.made.iter().map(holds).collect();
        let mut held: Vec<(usize, u32)> = Vec::new();
        for (at, made) in self.made.iter().enumerate().skip(1) {
            if alive.get(at) == Some(&false) {
                self.strong_below(made.node, at, refers, &mut held);
            }
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (holder, to) in &held {
                let lives = alive.get(*to as usize) == Some(&true);
                if let Some(holder) = alive.get_mut(*holder).filter(|holder| lives && !**holder) {
                    *holder = true;
                    changed = true;
                }
            }
        }
        alive
    }

    /// The resources that an element refers to of its own.
    fn strong_below(&self, at: At, holder: usize, refers: &[u32], held: &mut Vec<(usize, u32)>) {
        let found = self.pending_at(at, refers).filter(|pending| !pending.weak);
        held.extend(found.map(|pending| (holder, pending.made)));
        for (child, ..) in self.draft.children(at) {
            self.strong_below(child, holder, refers, held);
        }
    }

    pub(super) fn pending_at(&self, at: At, refers: &[u32]) -> Option<&Pending> {
        let number = refers.get(at.index()).copied();
        self.pending.get(number.unwrap_or(NOTHING) as usize)
    }

    /// Writes ids, references and requests.
    pub(super) fn identify(&mut self, unified: &Unified) {
        let Unified { known, same } = unified;
        let count = self.made.len();
        let stays = |at: usize| same.get(at).copied().flatten() == Some(narrow(at));
        let urls: Vec<String> = (0..count)
            .map(|at| match stays(at) {
                true => self.url(at, known.get(at).and_then(Option::as_ref)),
                false => String::new(),
            })
            .collect();
        for at in (1..count).filter(|at| stays(*at)) {
            let (Some(made), Some(url)) = (self.made.get(at).copied(), urls.get(at)) else {
                continue;
            };
            self.put(made.entry, names().full_url, url);
            if self.settings.bundle == BundleType::Transaction {
                let id = url.strip_prefix(UUID).unwrap_or_default();
                self.request(made, known.get(at).and_then(Option::as_ref), id);
            }
        }
        for pending in std::mem::take(&mut self.pending) {
            let made = self.made.get(pending.made as usize);
            let url = made.and_then(|made| self.draft.child(made.entry, names().full_url));
            // A text that a hundred results refer to stands once.
            let shared = url.is_some_and(|url| self.draft.copy_into(url, pending.text));
            if !shared && let Some(url) = urls.get(pending.made as usize) {
                let _known = self.draft.set(pending.text, url);
            }
        }
    }

    /// Which resource each one becomes: itself, an earlier one that is the same, or none.
    fn same(&self, known: &[Option<Known>], alive: &[bool], refers: &[u32]) -> Vec<Option<u32>> {
        let mut first: HashMap<(usize, &str, &str), u32> = HashMap::with_capacity(known.len());
        let mut contents: HashMap<(u64, u64), u32> = HashMap::new();
        let mut same: Vec<Option<u32>> = Vec::with_capacity(known.len());
        for (at, known) in known.iter().enumerate() {
            let Some(made) = self.made.get(at).copied() else {
                continue;
            };
            let number = narrow(at);
            // The Bundle, and what a map made and nothing was written to.
            if at == 0 {
                same.push(Some(number));
                continue;
            }
            if alive.get(at) != Some(&true) {
                same.push(None);
                continue;
            }
            let ty = self.draft.type_id(made.node).map_or(0, |ty| ty.index());
            let other = match known {
                Some(known) => *first
                    .entry((ty, known.system.as_str(), known.value.as_str()))
                    .or_insert(number),
                // What a row of the message made stands for itself.
                None if made.is_role => number,
                None => *contents
                    .entry(self.digest(made.node, refers))
                    .or_insert(number),
            };
            same.push(Some(other));
        }
        self.keep_richest(&mut same);
        same
    }

    /// Of those that are the same, the one with the most elements stays.
    fn keep_richest(&self, same: &mut [Option<u32>]) {
        let mut best: HashMap<u32, (u64, u32)> = HashMap::new();
        let pairs: Vec<(usize, u32)> = same
            .iter()
            .enumerate()
            .filter_map(|(at, to)| Some((at, (*to)?)))
            .collect();
        if pairs.iter().all(|(at, to)| narrow(*at) == *to) {
            return;
        }
        let sizes = self.draft.sizes();
        for (at, to) in &pairs {
            let Some(made) = self.made.get(*at) else {
                continue;
            };
            let size = sizes.get(made.node.index()).copied().unwrap_or(0);
            let size = u64::from(size) + u64::from(made.is_role) * u64::from(u32::MAX);
            let entry = best.entry(*to).or_insert((size, narrow(*at)));
            if size > entry.0 {
                *entry = (size, narrow(*at));
            }
        }
        for to in same.iter_mut().flatten() {
            if let Some((_, richest)) = best.get(to) {
                *to = *richest;
            }
        }
    }

    /// What a resource says, references aside, as numbers.
    pub(super) fn digest(&self, at: At, refers: &[u32]) -> (u64, u64) {
        let mut digest = hash::Digest::default();
        self.spell(at, refers, &mut digest);
        digest.finish()
    }

    fn spell(&self, at: At, refers: &[u32], out: &mut hash::Digest) {
        if let Some(text) = self.draft.text(at) {
            out.text(text);
        }
        if let Some(pending) = self.pending_at(at, refers) {
            out.number(pending.made);
        }
        for (child, element, ty) in self.draft.children(at) {
            let (element, ty) = (element.index(), ty.index());
            out.number(narrow(element + 1));
            out.number(narrow(ty));
            self.spell(child, refers, out);
            // No element has this number.
            out.number(0);
        }
    }

    /// By what a resource is known again, as the rows of the identity say.
    fn known(
        &mut self,
        made: u32,
        refers: &[u32],
        joins: &mut Joins,
        told: &mut Told,
    ) -> Option<Known> {
        let Made { node, segment, .. } = *self.made.get(made as usize)?;
        let ty = self.draft.type_id(node)?;
        let plan = self.plan;
        for row in plan.identity.iter().filter(|row| row.ty == ty) {
            if let Some(condition) = &row.condition {
                let scope = super::condition::Scope::of_segment(segment);
                if self.holds(condition, &scope) != Some(true) {
                    continue;
                }
            }
            let found = match &row.key {
                // Of what says something it is asked when the others are known.
                KeyDef::None | KeyDef::Content => None,
                KeyDef::Element(way, kind) => {
                    let mut keys = self.identifiers(node, way, kind.as_deref());
                    // What has no system is the sender's own: another hospital has a bed 1 too.
                    if let Some((system, value)) = keys.first()
                        && system.is_empty()
                    {
                        let local = self.local(made, way, value);
                        keys = local
                            .map(|value| (DERIVED.to_owned(), value))
                            .into_iter()
                            .collect();
                    }
                    let says = match keys.is_empty() {
                        true => None,
                        false => self.says(made, refers),
                    };
                    let found = told.key(ty, keys, says);
                    for (system, value) in &found.taken {
                        self.lend(node, way, system, value);
                    }
                    found.key.map(|(system, value)| match system == DERIVED {
                        true => self.derive(node, value),
                        false => (system, value),
                    })
                }
                KeyDef::Join(parts) => self.join_key(segment, parts).map(|value| {
                    let value = numbered(joins, ty, value);
                    self.derive(node, value)
                }),
            };
            if let Some((system, value)) = found {
                return Some(Known {
                    system,
                    value,
                    how: row.how,
                });
            }
        }
        None
    }

    /// The texts of a joined key. It is one only for what the segment of its first path made, and
    /// where its first and its last path are valued: else it would name somebody else's.
    fn join_key(&self, segment: u32, parts: &[Joined]) -> Option<String> {
        let mut paths = parts.iter().filter_map(|part| match part {
            Joined::Path(src) => Some(src),
            Joined::Text(_) => None,
        });
        let first = paths.next()?;
        let last = paths.next_back().unwrap_or(first);
        if let Src::Field { segment: of, .. } = first
            && self.segment_of(segment, *of) != Some(segment)
        {
            return None;
        }
        for src in [first, last] {
            let value = self.first_value(segment, None, None, src)?;
            if self.text_of(&value).trim().is_empty() {
                return None;
            }
        }
        Some(self.joined(segment, None, None, parts))
    }

    /// The number that a sender gives something, with the sender in front; of a place also those
    /// of what it is part of.
    fn local(&self, made: u32, way: &[Child], own: &str) -> Option<String> {
        let mut values = vec![own.to_owned()];
        let mut at = Some(made);
        while let Some(next) = at.filter(|_| values.len() < PARTS_MAX) {
            let node = self.made.get(next as usize)?.node;
            let ty = self.draft.type_id(node);
            if next != made
                && let Some((_, value)) = self.identifier(node, way)
            {
                values.push(value);
            }
            let above = self.pending.iter().filter(|pending| pending.parent == node);
            at = above.map(|pending| pending.made).find(|above| {
                let above = self.made.get(*above as usize);
                ty == Some(names().location)
                    && above.and_then(|above| self.draft.type_id(above.node)) == ty
            });
        }
        // Whose name the site declares is the same whoever says it; all else is the sender's own.
        let declared = values
            .last()
            .and_then(|of| self.settings.authorities.get(of));
        match declared.cloned() {
            Some(uri) => {
                values.pop();
                values.push(uri);
            }
            None => {
                let sender = self.sender.get_or_init(|| self.named_sender());
                values.push(sender.clone()?);
            }
        }
        values.reverse();
        Some(values.join("|"))
    }

    /// The facility or application that sent the message.
    fn named_sender(&self) -> Option<String> {
        let sender = |field| {
            let text = self.message.component("MSH", field, 1)?;
            Some(text.into_owned()).filter(|text| !text.trim().is_empty())
        };
        sender(4).or_else(|| sender(3))
    }

    /// Writes an identifier that derives from texts of the message.
    pub(super) fn derive(&mut self, node: At, value: String) -> (String, String) {
        self.add_identifier(node, DERIVED, &value);
        (DERIVED.to_owned(), value)
    }

    /// The first identifier with a value on a way of elements; one with a system first.
    fn identifier(&self, node: At, way: &[Child]) -> Option<(String, String)> {
        let mut plain = None;
        let found = self.identifier_below(node, way, &mut plain);
        found.or_else(|| plain.map(|value| (String::new(), value.to_owned())))
    }

    /// The first identifier with a system; in `plain` the first value that stands without one.
    fn identifier_below<'r>(
        &'r self,
        at: At,
        way: &[Child],
        plain: &mut Option<&'r str>,
    ) -> Option<(String, String)> {
        let Some((step, behind)) = way.split_first() else {
            let names = names();
            let text = |child: Child| {
                let at = self.draft.child(at, child)?;
                self.draft.text(at)
            };
            let value = text(names.value)?;
            let system = text(names.system);
            *plain = plain.or(Some(value));
            return system.map(|system| (system.to_owned(), value.to_owned()));
        };
        let mut children = self.draft.children(at);
        children.find_map(|(at, element, ty)| {
            (element == step.element && ty == step.ty)
                .then(|| self.identifier_below(at, behind, plain))
                .flatten()
        })
    }

    /// The identifiers with a value on a way of elements, of one type where only that will do: those
    /// with a system, else one without.
    fn identifiers(&self, node: At, way: &[Child], kind: Option<&str>) -> Vec<(String, String)> {
        let names = names();
        let text = |at: At, child: Child| {
            self.draft
                .child(at, child)
                .and_then(|at| self.draft.text(at))
        };
        let is_kind = |at: At| match kind {
            None => true,
            Some(kind) => self
                .ends(at, &[names.kind, names.coding])
                .any(|coding| text(coding, names.code) == Some(kind)),
        };
        let mut found = Vec::new();
        let mut plain = None;
        for at in self.ends(node, way).filter(|at| is_kind(*at)) {
            let Some(value) = text(at, names.value) else {
                continue;
            };
            match text(at, names.system) {
                Some(system) => found.push((system.to_owned(), value.to_owned())),
                None => plain = plain.or(Some((String::new(), value.to_owned()))),
            }
        }
        if found.is_empty() {
            found.extend(plain);
        }
        found
    }

    /// Takes the system away from an identifier by which something else is known already: were both
    /// found by it, the next message could change neither.
    fn lend(&mut self, node: At, way: &[Child], system: &str, value: &str) {
        let names = names();
        for at in self.ends(node, way) {
            let is = |child: Child, text: &str| {
                let at = self.draft.child(at, child)?;
                (self.draft.text(at) == Some(text)).then_some(at)
            };
            if is(names.value, value).is_some()
                && let Some(at) = is(names.system, system)
            {
                self.draft.remove(at);
            }
        }
    }

    /// The elements that a way leads to.
    fn ends(&self, node: At, way: &[Child]) -> impl Iterator<Item = At> + use<> {
        let mut open = vec![node];
        for step in way {
            let next = open.iter().flat_map(|at| {
                let children = self.draft.children(*at);
                children
                    .filter(|(_, element, ty)| *element == step.element && *ty == step.ty)
                    .map(|(at, ..)| at)
            });
            open = next.collect();
        }
        open.into_iter()
    }

    fn add_identifier(&mut self, node: At, system: &str, value: &str) {
        let names = names();
        let ty = self.draft.type_id(node);
        let scope = ty.map(|ty| Definitions::r4().type_def(ty).root);
        let child = scope.and_then(|scope| Definitions::r4().child(scope, "identifier"));
        let Some(child) = child.filter(|child| child.ty == names.identifier) else {
            return;
        };
        let list = Definitions::r4().element(child.element).is_list();
        let at = if list {
            Some(self.draft.append(node, child))
        } else {
            self.draft.single(node, child)
        };
        if let Some(at) = at {
            self.put(at, names.system, system);
            self.put(at, names.value, value);
        }
    }

    /// The URL of a resource in this Bundle: the same again for the same message.
    fn url(&self, at: usize, known: Option<&Known>) -> String {
        let node = self.made.get(at).map(|made| made.node);
        let ty = node.and_then(|node| self.draft.type_id(node));
        let ty = ty.map_or("", |ty| Definitions::r4().type_def(ty).name);
        match known {
            Some(known) => {
                let parts = [self.arrived.id, ty, &known.system, &known.value];
                hash::uuid_behind(UUID, &parts)
            }
            None => hash::uuid_behind(UUID, &[self.arrived.id, ty, &at.to_string()]),
        }
    }

    fn request(&mut self, made: Made, known: Option<&Known>, id: &str) {
        let names = names();
        let Some(ty) = self.draft.type_id(made.node) else {
            return;
        };
        let ty = Definitions::r4().type_def(ty);
        let Some(request) = self.draft.single(made.entry, names.request) else {
            return;
        };
        let has_identifier = Definitions::r4().child(ty.root, "identifier").is_some();
        match known.filter(|_| has_identifier) {
            Some(known) => {
                let mut query = String::from("identifier=");
                // Without a system `|VALUE`: the same value of somebody else's is another thing.
                encode::token(&known.system, &mut query);
                query.push_str("%7C");
                encode::token(&known.value, &mut query);
                match known.how {
                    How::Update => {
                        self.put(request, names.method, "PUT");
                        self.put(request, names.url, &format!("{}?{query}", ty.name));
                    }
                    How::Create => {
                        self.put(request, names.method, "POST");
                        self.put(request, names.url, ty.name);
                        self.put(request, names.if_none_exist, &query);
                    }
                }
            }
            // A replay writes the same resource again and not a second one.
            None => {
                let resource_id = Definitions::r4().child(ty.root, "id");
                if let Some(child) = resource_id {
                    self.put(made.node, child, id);
                }
                self.put(request, names.method, "PUT");
                self.put(request, names.url, &format!("{}/{id}", ty.name));
            }
        }
    }

    /// The Bundle, and why its elements are there.
    pub(super) fn finish(self) -> (Resource, Vec<Reason>) {
        if !self.settings.explain {
            return (self.draft.finish(), Vec::new());
        }
        let (bundle, places) = self.draft.finish_tracked();
        let mut reasons = Vec::with_capacity(self.reasons.len());
        for (at, row, source) in self.reasons {
            let Some(node) = places.node(&bundle, at) else {
                continue;
            };
            reasons.push(Reason {
                element: node.path(),
                file: self
                    .plan
                    .files
                    .get(row.file as usize)
                    .cloned()
                    .unwrap_or_default(),
                line: row.spot.line,
                source,
                value: node.text().unwrap_or_default().to_owned(),
            });
        }
        (bundle, reasons)
    }
}
