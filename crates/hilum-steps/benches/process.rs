//! What one message costs on the pure path of the relay example: split, parse, identify, index,
//! order, filter, set, write, answer.
#![expect(clippy::expect_used, reason = "a bench may fail by panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use divan::Bencher;
use hilum_component::{
    Acknowledge, Build, BuildContext, ChannelPlan, ComponentKind, DestinationKind, DestinationPlan,
    Format, FormatOptions, Incoming, IndexField, Millis, Order, ProcessEnvironment, Registry,
    ResendPlan, RetryPlan, Rule, Site, Size, SourceKind, SourcePlan, StateView, StepPlan, Stored,
    SystemInfo, Unlimited, process,
};
use hilum_fhirpath::{Env, Moment, NoHost};
use hilum_message::{IndexKey, MessageId, Metadata, Payload, PlanDigest};
use serde_json::json;

fn main() {
    divan::main();
}

/// An admission of about 700 bytes.
const MESSAGE: &str = "MSH|^~\\&|PAS|HOSP|HILUM|HOSP|20260101120000||ADT^A01^ADT_A01|MSG00001|P|2.5.1\r\
    EVN|A01|20260101120000|||1234^Schmidt^Anna\r\
    PID|1||123456^^^HOSP^MR~A98765^^^KK^SS||Muster^Erika^Maria^^Dr.^^L||19640812|F|||Heidestrasse 17^^Koeln^^51147^DEU||+49221123456^PRN^PH|||M|CAT\r\
    NK1|1|Muster^Max|SPO^Spouse^HL70063|Heidestrasse 17^^Koeln^^51147^DEU|+49221123456\r\
    PV1|1|I|W1^R101^B2^HOSP||||1234^Arzt^Anna^^^Dr.|5678^Haus^Gregor||MED||||||||V|998877^^^HOSP^VN|||||||||||||||||||||||||20260101\r\
    DG1|1||I20.9^Angina pectoris, unspecified^I10|||A\r";

/// A site without files.
struct Nothing;

impl Site for Nothing {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        Err(format!("no file `{path}`"))
    }
    fn secret(&self, _: &str) -> Result<String, String> {
        Err("no secrets here".to_owned())
    }
    fn system(&self, _: &str) -> Option<Arc<SystemInfo>> {
        None
    }
    fn system_names(&self) -> Vec<String> {
        Vec::new()
    }
    fn folder(&self) -> &Path {
        Path::new("")
    }
    fn production(&self) -> bool {
        false
    }
}

fn step(
    registry: &Registry,
    format: &Arc<dyn Format>,
    name: &str,
    config: &serde_json::Value,
) -> StepPlan {
    let context = BuildContext {
        channel: "relay",
        destination: None,
        format,
        site: &Nothing,
        sender: None,
        destinations: &["receiver".to_owned()],
        original: None,
    };
    let spec = registry.get(ComponentKind::Step, name).expect("a step");
    let Build::Step(build) = spec.build else {
        unreachable!("it is registered as a step")
    };
    StepPlan {
        name: name.into(),
        component: name.to_owned(),
        step: build(config, &context).expect("it is configured well"),
    }
}

fn destination() -> DestinationPlan {
    DestinationPlan {
        name: "receiver".into(),
        component: "topic".to_owned(),
        system: None,
        store: false,
        digest: PlanDigest::default(),
        kind: DestinationKind::Topic("receiver".into()),
        sends: hilum_component::Sends::Message,
        when: None,
        steps: Vec::new(),
        required: false,
        retry: RetryPlan::default(),
        after_reject: None,
        priority: None,
        queue_max: 10,
        queue_bytes_max: Size(10),
        then: None,
        was: None,
        care: hilum_component::Care::default(),
    }
}

fn plan() -> ChannelPlan {
    let specs = hilum_formats::specs().into_iter();
    let registry = Registry::new(specs.chain(hilum_steps::specs()));
    let format: Arc<dyn Format> = registry
        .format("hl7v2", &FormatOptions::default())
        .expect("hl7v2 is registered");
    let rule = |text: &str| Rule::compile(text, format.dialect()).expect("an expression");
    let index = |name: &str, text: &str| IndexField {
        name: name.into(),
        rule: rule(text),
    };
    let steps = vec![
        step(
            &registry,
            &format,
            "filter",
            &json!({ "if": "PV1-3.1.exists()" }),
        ),
        step(&registry, &format, "set", &json!({ "MSH-6": "PV1-3.4" })),
    ];
    ChannelPlan {
        name: "relay".into(),
        about: None,
        owner: None,
        digest: PlanDigest::default(),
        source: SourcePlan {
            component: "reply".to_owned(),
            system: None,
            digest: PlanDigest::default(),
            kind: SourceKind::Reply(None),
        },
        acknowledge: Acknowledge::Processed,
        accept: None,
        order: Order::Rule(rule("PID-3.1")),
        index: vec![index("patient-id", "PID-3.1"), index("ward", "PV1-3.1")],
        steps,
        destinations: vec![destination()],
        resend: ResendPlan::default(),
        alerts: Vec::new(),
        step_budget: Millis(250),
        control_id_optional: false,
        marking: std::sync::Arc::default(),
        senders: std::sync::Arc::default(),
        format,
    }
}

#[divan::bench]
fn relay(bencher: Bencher<'_, '_>) {
    let plan = plan();
    let bytes = Bytes::from_static(MESSAGE.as_bytes());
    let key = IndexKey::new([7; 16]);
    let at = 1_700_000_000_000;
    bencher.bench_local(|| {
        let payload = Payload::inline(bytes.clone());
        let incoming = Incoming::new(MessageId::new(at, 5), at, payload, Metadata::new());
        let mut environment = ProcessEnvironment {
            index_key: &key,
            links: &(),
            state: &(),
            meter: &Unlimited,
            host: &NoHost,
            trace: None,
        };
        process(&plan, &mut environment, incoming)
    });
}

/// What is known of the patient of [`MESSAGE`].
#[derive(Default)]
struct Known(BTreeMap<(String, String), Bytes>);

impl StateView for Known {
    fn get(&self, scope: &str, key: &str) -> Stored {
        Stored {
            version: 1,
            value: self.0.get(&(scope.to_owned(), key.to_owned())).cloned(),
        }
    }
}

fn ran(plan: &ChannelPlan, known: &Known, message: &str) -> hilum_component::Processed {
    let at = 1_700_000_000_000;
    let payload = Payload::inline(Bytes::copy_from_slice(message.as_bytes()));
    let incoming = Incoming::new(MessageId::new(at, 5), at, payload, Metadata::new());
    let mut environment = ProcessEnvironment {
        index_key: &IndexKey::new([7; 16]),
        links: &(),
        state: known,
        meter: &Unlimited,
        host: &NoHost,
        trace: None,
    };
    process(plan, &mut environment, incoming)
}

/// The relay with `match`, a message of a patient who is known: a change, and a result of five values.
#[divan::bench(args = ["change", "result"])]
fn matched(bencher: Bencher<'_, '_>, what: &str) {
    let mut plan = plan();
    let specs = hilum_formats::specs().into_iter();
    let registry = Registry::new(specs.chain(hilum_steps::specs()));
    let step = step(&registry, &plan.format, "match", &json!({}));
    plan.steps.insert(0, step);
    let mut known = Known::default();
    for write in ran(&plan, &known, MESSAGE).writes {
        if let Some(value) = write.value {
            known
                .0
                .insert((write.scope.to_string(), write.key.to_string()), value);
        }
    }
    let header = |kind: &str| {
        MESSAGE
            .replace("20260101120000", "20260101130000")
            .replace("ADT^A01^ADT_A01", kind)
    };
    let message = match what {
        "change" => header("ADT^A08^ADT_A01"),
        _ => {
            let start: String = header("ORU^R01^ORU_R01")
                .split_inclusive('\r')
                .filter(|line| ["MSH", "PID", "PV1"].iter().any(|id| line.starts_with(id)))
                .collect();
            let order = "ORC|RE|P1^WARD|F1^LAB\rOBR|1|P1^WARD|F1^LAB|CHEM^Chemie^L\r";
            let line = |n| format!("OBX|{n}|NM|C{n}^Value^L||4.{n}|mmol/l|3-5|||||F\r");
            format!("{start}{order}{}", (1..6).map(line).collect::<String>())
        }
    };
    let processed = ran(&plan, &known, &message);
    assert_eq!(processed.deliveries.len(), 1, "{processed:?}");
    bencher.bench_local(|| ran(&plan, &known, &message));
}

#[divan::bench]
fn filter_of_a_parsed_message(bencher: Bencher<'_, '_>) {
    let plan = plan();
    let payload = Payload::inline(Bytes::from_static(MESSAGE.as_bytes()));
    let document = plan.format.parse(&payload).expect("a message");
    let filter = Rule::compile("PV1-3.1.exists()", plan.format.dialect()).expect("an expression");
    let env = Env::new(Moment::from_unix_millis(1_700_000_000_000, 0));
    assert_eq!(filter.test(&*document, &env), Ok(true));
    bencher.bench_local(|| filter.test(&*document, &env));
}
