//! References between resources of a message, when all of them are made.

use hilum_fhir::definitions::Definitions;

use super::{Late, Run, Spot};
use crate::finding::FindingCode;
use crate::plan::{Holder, LinkEnd, MessagePlan, Number, PlaceDef, PlaceStep};

/// Whether no list lies on the way to a place.
fn is_single(places: &[PlaceDef], mut at: Number) -> bool {
    while at != 0 {
        match places.get(at as usize) {
            Some(def) if matches!(def.step, PlaceStep::Single) => at = def.parent,
            _ => return false,
        }
    }
    true
}

impl<'p> Run<'p, '_> {
    pub(super) fn links(&mut self, rows: &'p MessagePlan) {
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Row { row, made, segment } => {
                    let Some(row) = rows.rows.get(row as usize) else {
                        continue;
                    };
                    for holder in &row.holders {
                        self.link(holder, made, segment);
                    }
                }
                Late::Role {
                    role,
                    holder,
                    text,
                    segment,
                } => {
                    let found = self.roles_near(role, segment);
                    let made = self.of_segment(&found, segment).or(found.first().copied());
                    if let Some(made) = made {
                        self.refer_in(holder, holder, text, made, true);
                    }
                }
            }
        }
    }

    /// The resources of a role in the innermost group that has any, those in the group itself
    /// first. What another repetition of a group around the segment has is not its own: the specimen
    /// of one order is not that of the next.
    fn roles_near(&self, role: Number, segment: u32) -> Vec<u32> {
        let mut group = self
            .segments
            .get(segment as usize)
            .map_or(0, |segment| segment.group);
        if self.of_role(role).next().is_none() {
            return Vec::new();
        }
        let mut below = None;
        loop {
            let here = self.of_role(role).filter(|known| known.group == group);
            let mut found: Vec<u32> = here.map(|known| known.made).collect();
            if found.is_empty() {
                let inside = self.of_role(role);
                let inside = inside.filter(|known| self.belongs(known.group, group, below));
                found = inside.map(|known| known.made).collect();
            }
            if !found.is_empty() || group == 0 {
                found.reverse();
                return found;
            }
            below = Some(group);
            group = self.parent(group);
        }
    }

    /// That of some resources which was made from a segment: the diagnosis of a DG1 is its own.
    fn of_segment(&self, made: &[u32], segment: u32) -> Option<u32> {
        made.iter().copied().find(|made| {
            let made = self.made.get(*made as usize);
            made.is_some_and(|made| made.segment == segment)
        })
    }

    fn link(&mut self, holder: &'p Holder, made: u32, segment: u32) {
        let target = match holder.role {
            None => made,
            Some(role) => match self.nearest_before(role, segment) {
                Some(found) => found,
                None => return,
            },
        };
        // What each link with a role refers to; one run for each of them.
        let mut ends: Vec<Vec<u32>> = holder
            .links
            .iter()
            .map(|link| match &link.to {
                LinkEnd::Role(role) => self.roles_near(*role, segment),
                LinkEnd::This | LinkEnd::Text(_) => Vec::new(),
            })
            .collect();
        // Where there is room for one, which of several is not guessed: a wrong specimen is worse
        // than none.
        for (link, ends) in holder.links.iter().zip(&mut ends) {
            if let LinkEnd::Role(role) = link.to
                && ends.len() > 1
                && is_single(&holder.places, link.place)
            {
                let own = self.of_segment(ends, segment);
                ends.clear();
                ends.extend(own);
                if own.is_none() {
                    let ty = self.plan.roles.get(role as usize).map(|role| role.ty);
                    let name = ty.map(|ty| Definitions::r4().type_def(ty).name);
                    let place = self.whole(segment);
                    self.finding(FindingCode::AmbiguousReference, place, name);
                }
            }
        }
        let has_roles = holder
            .links
            .iter()
            .any(|link| matches!(link.to, LinkEnd::Role(_)));
        let runs = ends.iter().map(Vec::len).max().unwrap_or(0);
        let runs = if has_roles { runs } else { 1 };
        for run in 0..runs {
            self.link_once(holder, made, target, segment, run, &ends);
        }
    }

    fn link_once(
        &mut self,
        holder: &'p Holder,
        made: u32,
        target: u32,
        segment: u32,
        run: usize,
        ends: &[Vec<u32>],
    ) {
        let base = self.slots.len();
        let spot = Spot {
            at: self.node(target),
            made: target,
        };
        for (link, ends) in holder.links.iter().zip(ends) {
            let to = match &link.to {
                LinkEnd::This => Some(made),
                LinkEnd::Role(_) => ends.get(run).copied(),
                LinkEnd::Text(_) => None,
            };
            if matches!(link.to, LinkEnd::Role(_)) && to.is_none_or(|to| to == target) {
                continue;
            }
            if let (Some(to), Some(def)) = (to, holder.places.get(link.place as usize))
                && def.fresh
                && self.linked.contains(&(def.child.element, spot.at, to))
            {
                continue;
            }
            let Some(at) = self.spot_in(&holder.places, base, spot, segment, link.place, 0) else {
                continue;
            };
            match (&link.to, to) {
                (LinkEnd::Text(text), _) => {
                    if self.draft.text(at.at).is_none() {
                        // The compiler has looked at the form of constants.
                        let _known = self.draft.set(at.at, text);
                    }
                }
                (_, Some(to)) => {
                    if self.draft.is_empty(at.at) {
                        self.refer_in(spot.at, at.at, link.text, to, true);
                    }
                }
                (LinkEnd::This | LinkEnd::Role(_), None) => {}
            }
        }
        self.slots.truncate(base);
    }

    /// The resource of a role that a row of a segment means: around it, else the nearest.
    fn nearest_before(&self, role: Number, segment: u32) -> Option<u32> {
        let group = self
            .segments
            .get(segment as usize)
            .map_or(0, |segment| segment.group);
        if let Some(made) = self.role_made_before(role, group, segment) {
            return Some(made);
        }
        self.roles_near(role, segment).first().copied()
    }

    /// Around a group, the last of a role that was made from this segment or one before it.
    fn role_made_before(&self, role: Number, mut group: u32, segment: u32) -> Option<u32> {
        loop {
            let here = || self.of_role(role).filter(|known| known.group == group);
            let before = |made: u32| {
                self.made
                    .get(made as usize)
                    .is_some_and(|made| made.segment <= segment)
            };
            let last = here().find(|known| before(known.made));
            if let Some(found) = last.or_else(|| here().last()) {
                return Some(found.made);
            }
            if group == 0 {
                return None;
            }
            group = self.parent(group);
        }
    }
}
