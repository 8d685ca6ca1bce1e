//! Which resource a role means: that of the group at hand, of one within it or around it.

use hilum_fhir::Draft;
use hilum_fhir::definitions::TypeId;

use super::names::names;
use super::{Made, RESOURCES_MAX, RoleAt, Run, narrow};
use crate::finding::FindingCode;
use crate::plan::{Number, SegmentRow};

impl Run<'_, '_> {
    /// The resource of a row: that of its role in the group or around it, else a new one.
    pub(super) fn role(&mut self, row: &SegmentRow, segment: u32, group: u32) -> Option<u32> {
        if row.is_bundle {
            return Some(0);
        }
        if !row.each
            && let Some(made) = self.role_around(row.role, group)
        {
            return Some(made);
        }
        let ty = self.plan.roles.get(row.role as usize)?.ty;
        let made = self.make(ty, segment, true)?;
        if let Some(last) = self.last_roles.get_mut(row.role as usize) {
            let before = std::mem::replace(last, narrow(self.roles.len()));
            self.roles.push(RoleAt {
                group,
                made,
                before,
            });
        }
        Some(made)
    }

    /// A new resource in the Bundle.
    pub(super) fn make(&mut self, ty: TypeId, segment: u32, is_role: bool) -> Option<u32> {
        if self.made.len() >= RESOURCES_MAX {
            self.finding(
                FindingCode::LimitReached,
                self.whole(segment),
                Some("resources"),
            );
            return None;
        }
        let names = names();
        let root = self.draft.root();
        let entry = self.draft.append_behind(root, self.last_entry, names.entry);
        self.last_entry = Some(entry);
        let node = self.draft.append(entry, Draft::typed(names.resource, ty));
        let made = narrow(self.made.len());
        self.made.push(Made {
            entry,
            node,
            segment,
            field: if is_role { (0, 0) } else { self.at_field },
            is_role,
        });
        Some(made)
    }

    /// The resource of a role in a group, in what the group holds, or in a group around it: ORC may
    /// stand in a group of its own beside OBR.
    pub(super) fn role_around(&self, role: Number, mut group: u32) -> Option<u32> {
        if group != 0 {
            let mut known = self.of_role(role);
            if let Some(found) = known.find(|known| self.belongs(known.group, group, None)) {
                return Some(found.made);
            }
        }
        loop {
            let found = self.of_role(role).find(|known| known.group == group);
            if let Some(found) = found {
                return Some(found.made);
            }
            if group == 0 {
                return None;
            }
            group = self.parent(group);
        }
    }

    /// Those of a role, the last first.
    pub(super) fn of_role(&self, role: Number) -> impl Iterator<Item = &RoleAt> {
        let last = self.last_roles.get(role as usize).copied();
        let last = last.and_then(|last| self.roles.get(last as usize));
        std::iter::successors(last, |known| self.roles.get(known.before as usize))
    }

    pub(super) fn parent(&self, group: u32) -> u32 {
        self.arrangement
            .as_ref()
            .map_or(0, |found| found.parent(group))
    }

    /// Whether a group lies in another one, or is it, and not in the group `below`, where one came
    /// from, nor in another repetition of that.
    pub(super) fn belongs(&self, mut inner: u32, outer: u32, below: Option<u32>) -> bool {
        let mut child = None;
        while inner != outer {
            if inner == 0 {
                return false;
            }
            child = Some(inner);
            inner = self.parent(inner);
        }
        let (Some(child), Some(below)) = (child, below) else {
            return true;
        };
        self.kind(child) != self.kind(below)
    }

    /// Which group of the structure a group is.
    fn kind(&self, group: u32) -> Option<u16> {
        self.arrangement.as_ref()?.kind(group)
    }
}
