//! The destinations of a channel's plan.

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Care, DestinationKind, DestinationPlan, Format, RetryPlan, StepPlan,
};

use super::{Builder, Made};
use crate::check::Piece;
use crate::diagnostic::Report;
use crate::file::{DestinationFile, RemovedFile, RetryFile};
use crate::plan::digest::Digest;
use crate::plan::summary;
use crate::site::SiteView;

impl<'g, V: Fn() -> SiteView<'g>> Builder<'_, 'g, V> {
    /// The destinations in the order of the file.
    pub(super) fn destinations(
        &self,
        format: &Arc<dyn Format>,
        digest: &mut Digest,
        report: &mut Report,
    ) -> Vec<DestinationPlan> {
        let mut plans = Vec::with_capacity(self.channel.destinations.len());
        for name in &self.channel.destinations {
            let steps = self.steps(format, Some(name), &["to", name, "steps"], digest, report);
            // What a destination sends is of the format that its own steps make.
            let made_format = super::made_by(&steps, format);
            let made = self.channel.destination(name).and_then(|piece| {
                let made = self.destination(piece, name, &made_format, digest, report)?;
                Some((piece, made))
            });
            let value = self
                .channel
                .value
                .get("to")
                .and_then(|to| to.get(name))
                .cloned();
            let file =
                value.and_then(|value| serde_json::from_value::<DestinationFile>(value).ok());
            let Some(file) = file else { continue };
            let care = self.care(self.channel.destination(name), &file, digest);
            plans.extend(self.destination_plan(name, (file, care), made, steps, format, report));
        }
        plans
    }

    fn destination(
        &self,
        piece: &Piece,
        name: &str,
        format: &Arc<dyn Format>,
        digest: &mut Digest,
        report: &mut Report,
    ) -> Option<Made<DestinationKind>> {
        self.make(piece, digest, report, |view| {
            match piece.spec.as_ref().map(|spec| spec.build) {
                Some(Build::Destination(build)) => {
                    // What is sent is fixed by then: a destination knows nothing of a question.
                    let context = BuildContext {
                        original: None,
                        ..self.context(format, Some(name), view)
                    };
                    build(&piece.config, &context).map(DestinationKind::Component)
                }
                _ => Ok(DestinationKind::Topic(
                    piece.config.as_str().unwrap_or_default().into(),
                )),
            }
        })
    }

    fn destination_plan(
        &self,
        name: &str,
        (file, care): (DestinationFile, Care),
        made: Option<(&Piece, Made<DestinationKind>)>,
        steps: Vec<StepPlan>,
        format: &Arc<dyn Format>,
        report: &mut Report,
    ) -> Option<DestinationPlan> {
        let tree = self.channel.tree.get("to").and_then(|to| to.get(name));
        let span = |key: &str| {
            tree.and_then(|tree| tree.get(key))
                .map_or(self.channel.tree.span, |n| n.span)
        };
        let rule = |key: &str, text: Option<&str>, report: &mut Report| {
            text.and_then(|text| self.compile(text, &**format, span(key), report))
        };
        let when = match file.removed {
            // Nothing new goes to a destination that is gone.
            Some(_) => rule("removed", Some("false"), report),
            None => rule("when", file.when.as_ref().map(|expr| expr.as_str()), report),
        };
        let priority = rule(
            "priority",
            file.priority.as_ref().map(|expr| expr.as_str()),
            report,
        );
        let store = made
            .as_ref()
            .is_some_and(|(piece, _)| summary::is_store(&piece.name, &piece.config));
        let (component, system, digest, kind) = match (file.removed, made) {
            (Some(RemovedFile::DeadLetter), made) => {
                let component = made.map_or_else(String::new, |(piece, _)| piece.name.clone());
                (
                    component,
                    None,
                    Digest::of("removed").finish(),
                    DestinationKind::DeadLetter,
                )
            }
            (removed, Some((piece, made))) => {
                let kind = match (removed, made.part) {
                    (Some(_), DestinationKind::Component(factory)) => {
                        DestinationKind::Drain(factory)
                    }
                    (_, kind) => kind,
                };
                (
                    piece.name.clone(),
                    summary::system(&piece.config),
                    made.digest,
                    kind,
                )
            }
            (_, None) => return None,
        };
        Some(DestinationPlan {
            name: name.into(),
            component,
            system,
            store,
            digest,
            kind,
            sends: file.sends,
            when,
            steps,
            required: file.required,
            retry: self.retry(&file.retry),
            after_reject: file.after_reject,
            priority,
            queue_max: file.queue_max,
            queue_bytes_max: file.queue_bytes_max,
            then: file.then.map(|name| name.0.into()),
            was: file.was.map(|name| name.0.into()),
            care,
        })
    }

    fn retry(&self, own: &RetryFile) -> RetryPlan {
        let site = self
            .gathered
            .node
            .as_ref()
            .map(|node| node.retry)
            .unwrap_or_default();
        let default = RetryPlan::default();
        let first = own.first.or(site.first).unwrap_or(default.first);
        RetryPlan {
            first,
            longest: own
                .longest
                .or(site.longest)
                .unwrap_or(default.longest)
                .max(first),
            give_up_after: own.give_up_after.or(site.give_up_after),
        }
    }
}
