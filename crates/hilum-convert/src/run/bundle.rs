//! The Bundle around the resources: what is the same is one, ids derive from the message, and the
//! transaction updates what is known.

use std::collections::HashMap;

use hilum_fhir::definitions::{Child, Definitions};
use hilum_fhir::{At, Resource};

use super::known::{Joins, Known};
use super::names::names;
use super::told::Told;
use super::{Made, NOTHING, Pending, Reason, Run, narrow};
use crate::settings::{BundleType, Original};
use crate::text::How;
use crate::value::{encode, hash};

/// What stands in front of the id of a resource.
pub(super) const UUID: &str = "urn:uuid:";

/// The media type of HL7 v2 with `|` and `^`.
const ER7: &str = "x-application/hl7-v2+er7";

/// Which of the resources that were made stand in the Bundle.
#[derive(Debug)]
pub(super) struct Unified {
    /// By what each is known.
    pub(super) known: Vec<Option<Known>>,
    /// The one that it became.
    pub(super) same: Vec<Option<u32>>,
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

    /// By the number of an element the pending reference whose text it is.
    pub(super) fn pending_texts(&self) -> Vec<u32> {
        let mut refers = vec![NOTHING; self.draft.node_count()];
        for (number, pending) in self.pending.iter().enumerate() {
            if let Some(found) = refers.get_mut(pending.text.index()) {
                *found = narrow(number);
            }
        }
        refers
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
                true => self
                    .detached_url(at, unified)
                    .unwrap_or_else(|| self.url(at, known.get(at).and_then(Option::as_ref))),
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
                self.time_of_entry(at, made, same);
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
                        self.put(request, names.url, &[ty.name, "?", &query].concat());
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
                self.put(request, names.url, &[ty.name, "/", id].concat());
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
