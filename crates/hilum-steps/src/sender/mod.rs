//! Recognises which system of a group sent a message.
//!
//! Several systems may send to one channel. Their files name the group and what they call themselves
//! (`sends-as`); this step finds the one that fits MSH-3.1 and MSH-4.1 and notes its name as the
//! metadata `sender`, by which later steps choose what is the sender's own: its table of codes, its
//! authorities, its time zone. A message that fits none is rejected: what cannot be told apart
//! cannot be read right either. A new system is one file, and the channel stays as it is.

mod config;

use std::sync::Arc;

use hilum_component::{
    Build, BuildContext, Built, ComponentSpec, Example, Flow, Halted, Limit, Problem, Step,
    StepContext, StepExample, SystemInfo, TraceLine, Working,
};
use hilum_hl7v2::Message;
use hilum_message::Phi;
use serde_json::Value;

use crate::settings::{Problems, read, schema};
use config::Config;

/// The metadata that names the system.
pub(crate) const SENDER: &str = "sender";

/// What documentation, editor and checks know of the step.
pub(crate) fn spec() -> ComponentSpec {
    ComponentSpec {
        name: "sender",
        summary: "recognises which system of a group sent a message",
        schema: schema::<Config>,
        shorthand: Some("group"),
        examples: EXAMPLES,
        limits: &[Limit {
            name: "systems of a group",
            value: "at least one, each told apart from the others",
            beyond: "two systems of a group that send as the same are refused when the site is checked",
        }],
        build: Build::Step(build),
    }
}

const EXAMPLES: &[Example] = &[Example {
    title: "Several laboratories send to one channel",
    yaml: "sender: labs\n",
    effect: Some(StepExample {
        format: "hl7v2",
        before: "MSH|^~\\&|NLAB|NORTH|||||ORU^R01|1|P|2.5\n",
        after: "MSH|^~\\&|NLAB|NORTH|||||ORU^R01|1|P|2.5\n",
        files: &[(
            "systems/lab-north.yaml",
            "system: lab-north\ngroup: labs\nsends-as: { application: NLAB, facility: NORTH }\nidentifiers: [{ authority: NORTH, type: PI }]\n",
        )],
    }),
}];

fn build(config: &Value, context: &BuildContext<'_>) -> Built<Arc<dyn Step>> {
    let config: Config = read(config)?;
    let mut problems = Problems::default();
    if context.format.name() != "hl7v2" {
        problems.add(Problem::at(
            &[],
            "senders are recognised by MSH-3 and MSH-4, in HL7 v2 only",
        ));
    }
    let group = &*config.group;
    let mut systems: Vec<Arc<SystemInfo>> = Vec::new();
    for name in context.site.system_names() {
        // A change of any system may change the group.
        let Some(system) = context.site.system(&name) else {
            continue;
        };
        if system.group.as_deref() != Some(group) {
            continue;
        }
        if system.sends_as.application.is_none() && system.sends_as.facility.is_none() {
            problems.add(
                Problem::at(
                    &["group"],
                    format!("`{name}` is of the group and does not say as what it sends"),
                )
                .hint("write `sends-as: { application: …, facility: … }`")
                .in_system(&*name, &["group"]),
            );
        }
        if let Some(other) = systems
            .iter()
            .find(|other| other.sends_as == system.sends_as)
        {
            problems.add(
                Problem::at(
                    &["group"],
                    format!("`{name}` and `{}` send as the same", other.name),
                )
                .hint("tell them apart by application (MSH-3) or facility (MSH-4)")
                .in_system(&*name, &["sends-as"]),
            );
        }
        systems.push(system);
    }
    if systems.is_empty() {
        problems.add(
            Problem::at(&["group"], format!("no system is of the group `{group}`")).hint(format!(
                "write `group: {group}` in the files of its systems"
            )),
        );
    }
    let step = Sender {
        group: config.group.clone(),
        systems,
    };
    problems.finish(Some(Arc::new(step) as Arc<dyn Step>))
}

/// The systems that name themselves as the application and facility of a message, those that say it
/// most exactly; the step takes the first.
pub fn senders<'s>(
    systems: impl IntoIterator<Item = &'s Arc<SystemInfo>>,
    message: &Message,
) -> Vec<&'s Arc<SystemInfo>> {
    let application = message.component("MSH", 3, 1);
    let facility = message.component("MSH", 4, 1);
    let fits = |said: &Option<String>, own: Option<&str>| {
        said.as_deref().is_none_or(|said| own == Some(said))
    };
    let exactness = |system: &SystemInfo| {
        usize::from(system.sends_as.application.is_some())
            + usize::from(system.sends_as.facility.is_some())
    };
    let mut found: Vec<&Arc<SystemInfo>> = Vec::new();
    for system in systems {
        let best = found.first().map_or(0, |best| exactness(best));
        if fits(&system.sends_as.application, application.as_deref())
            && fits(&system.sends_as.facility, facility.as_deref())
            && exactness(system) >= best
        {
            if exactness(system) > best {
                found.clear();
            }
            found.push(system);
        }
    }
    found
}

struct Sender {
    group: String,
    systems: Vec<Arc<SystemInfo>>,
}

impl Step for Sender {
    fn apply(&self, message: &mut Working, context: &mut StepContext<'_>) -> Result<Flow, Halted> {
        let Some(v2) = message.document.as_any().downcast_ref::<Message>() else {
            return Err(Halted::reject("a sender is recognised in HL7 v2 only"));
        };
        let Some(system) = senders(&self.systems, v2).first().copied() else {
            return Err(Halted::Reject {
                code: "103".to_owned(),
                path: Some("MSH-3".to_owned()),
                text: format!(
                    "no system of the group `{}` sends as this application and facility",
                    self.group
                ),
            });
        };
        message.metadata.set(SENDER, system.name.as_str());
        context.note(|step| TraceLine {
            step: step.to_owned(),
            path: Some("MSH-3".to_owned()),
            before: None,
            after: Some(Phi::new(system.name.clone())),
            note: format!("the sender is {}", system.name),
        });
        Ok(Flow::Next)
    }
}
