//! Which message is sent, and what each one is about.

use hilum_fhir::Node;
use hilum_fhir::definitions::{Definitions, ElementId, TypeId};
use hilum_hl7v2::dictionary::Dictionary;

use super::ReverseError;
use super::given::Event;
use super::plan::{self, Begin, Path};
use super::run::Run;

impl<'r, 'p> Run<'r, 'p> {
    /// The event, and what each message is about.
    pub(super) fn choose(
        &mut self,
        ty: &str,
    ) -> Result<(Event, Vec<Option<Node<'r>>>), ReverseError> {
        let asked = match &self.givens.settings.event {
            Some(event) => Some(event.clone()),
            None => self.header_event(),
        };
        let plan = self.plan;
        // A code alone leaves the trigger to what is there.
        let code = asked.clone().filter(|asked| !asked.contains(['^', '_']));
        if let Some(asked) = asked.filter(|_| code.is_none()) {
            let (code, trigger) = split(&asked);
            let exact = |event: &&plan::Event| event.trigger.as_deref() == Some(trigger);
            let rows = || plan.events.iter().filter(|event| event.code == code);
            let open = rows().filter(|event| event.trigger.is_none());
            let known = rows().next().is_some();
            for event in rows().filter(exact).chain(open) {
                let mut contexts = self.contexts(&event.each);
                // With a trigger the condition says when it is meant, and here it was asked for.
                if let (None, Some(condition)) = (&event.trigger, &event.condition) {
                    contexts.retain(|context| self.condition(condition, *context));
                    self.touched.clear();
                }
                if !contexts.is_empty() {
                    return self.event(code, trigger, contexts, ty);
                }
            }
            if known && self.givens.settings.event.is_none() {
                return self.event(code, trigger, vec![None], ty);
            }
            return Err(ReverseError::NoRows {
                event: asked,
                ty: ty.to_owned(),
            });
        }
        for event in &plan.events {
            let Some(trigger) = &event.trigger else {
                continue;
            };
            if code.as_deref().is_some_and(|code| code != event.code) {
                continue;
            }
            let mut contexts = self.contexts(&event.each);
            if let Some(condition) = &event.condition {
                contexts.retain(|context| self.condition(condition, *context));
                self.touched.clear();
            }
            if !contexts.is_empty() {
                return self.event(&event.code, trigger, contexts, ty);
            }
        }
        if let Some(event) = code {
            let ty = ty.to_owned();
            return Err(ReverseError::NoRows { event, ty });
        }
        Err(ReverseError::NoEvent { ty: ty.to_owned() })
    }

    fn event(
        &self,
        code: &str,
        trigger: &str,
        contexts: Vec<Option<Node<'r>>>,
        ty: &str,
    ) -> Result<(Event, Vec<Option<Node<'r>>>), ReverseError> {
        let version = Dictionary::get().nearest(&self.givens.settings.version);
        let structure = version.structure_for(code, trigger, None);
        let Some(structure) = structure else {
            return Err(ReverseError::NoRows {
                event: format!("{code}^{trigger}"),
                ty: ty.to_owned(),
            });
        };
        let event = Event {
            code: code.to_owned(),
            trigger: trigger.to_owned(),
            structure: structure.id().to_owned(),
        };
        Ok((event, contexts))
    }

    /// What a MessageHeader says: a code of table 0003 with its message in the display or alone.
    fn header_event(&self) -> Option<String> {
        let ty = Definitions::r4().type_named("MessageHeader")?;
        let header = self.sources.of_type(ty).next()?;
        let coding = header
            .children()
            .find(|child| child.json_name() == "eventCoding")?;
        let trigger = coding.child_text("code")?;
        let display = coding.child_text("display").unwrap_or_default();
        if let [code, event, ..] = display.split('^').collect::<Vec<_>>().as_slice()
            && *event == trigger
        {
            return Some(format!("{code}^{trigger}"));
        }
        let known = self
            .plan
            .events
            .iter()
            .find(|e| e.trigger.as_deref() == Some(trigger));
        if let Some(known) = known {
            return Some(format!("{}^{trigger}", known.code));
        }
        let number = trigger
            .strip_prefix('A')
            .filter(|n| n.parse::<u8>().is_ok());
        number.map(|_| format!("ADT^{trigger}"))
    }

    /// What a path of an event or a group finds; with `subjects(...)` also nothing, once.
    fn contexts(&mut self, path: &'p Path) -> Vec<Option<Node<'r>>> {
        if let Begin::Subjects { ty, element } = path.start {
            return self.subjects(ty, element);
        }
        let mut nodes = Vec::new();
        self.select(path, None, &mut nodes);
        self.touched.clear();
        nodes.into_iter().map(Some).collect()
    }

    fn subjects(&self, ty: TypeId, element: ElementId) -> Vec<Option<Node<'r>>> {
        let mut found: Vec<Option<Node<'r>>> = Vec::new();
        let links = self.sources.links.iter();
        for link in links.filter(|l| l.element == element && l.holder.type_id() == ty) {
            if link.target.is_some() && !found.contains(&link.target) {
                found.push(link.target);
            }
        }
        self.sources.back(ty, element, None, |_, _| {
            if !found.contains(&None) {
                found.push(None);
            }
        });
        found
    }
}

/// `ADT^A08` or `ADT_A08` in its two parts.
fn split(event: &str) -> (&str, &str) {
    let mut parts = event.split(['^', '_']);
    (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
}
