//! What the functions of a script reach: the messages of the running call, and nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use hilum_component::{Beside, Document, Format, Rule, Target};
use hilum_fhirpath::{Env, Moment};
use hilum_hl7v2::Message;
use hilum_message::{MessageId, Metadata, Payload};
use rquickjs::{Ctx, Exception, Function, Object};

/// Paths whose compiled form is kept; beyond it all are compiled anew.
const PATHS_MAX: usize = 10_000;
/// Messages that one call may make.
pub(super) const COPIES_MAX: usize = 10_000;
/// Findings that one call may note.
const FLAGS_MAX: usize = 1_000;

/// One message as a script works on it.
pub(super) struct Held {
    pub(super) format: Arc<dyn Format>,
    pub(super) document: Box<dyn Document>,
    pub(super) metadata: Metadata,
}

/// The running call.
pub(super) struct Call {
    pub(super) channel: String,
    pub(super) id: MessageId,
    pub(super) arrived_ms: u64,
    pub(super) messages: Vec<Held>,
    /// The place of the message that asked among `messages`.
    pub(super) original: Option<usize>,
    pub(super) flags: Vec<(String, String)>,
}

/// Compiled paths of one format.
#[derive(Default)]
struct Paths {
    rules: HashMap<String, Rule>,
    targets: HashMap<String, Rc<Target>>,
}

/// What the host's functions share; empty between calls but for compiled paths.
#[derive(Default)]
pub(super) struct Host {
    pub(super) call: Option<Call>,
    paths: HashMap<&'static str, Paths>,
}

impl Held {
    pub(super) fn copied(&self) -> Self {
        Self {
            format: Arc::clone(&self.format),
            document: self.document.boxed_clone(),
            metadata: self.metadata.clone(),
        }
    }
}

impl Call {
    fn held(&mut self, at: usize) -> Result<&mut Held, String> {
        self.messages
            .get_mut(at)
            .ok_or_else(|| "no such message".to_owned())
    }
}

impl Host {
    fn call(&mut self) -> Result<&mut Call, String> {
        self.call
            .as_mut()
            .ok_or_else(|| "no message is being worked on".to_owned())
    }

    fn rule(&mut self, at: usize, path: &str) -> Result<Rule, String> {
        let format = Arc::clone(&self.call()?.held(at)?.format);
        let paths = self.paths.entry(format.name()).or_default();
        if let Some(rule) = paths.rules.get(path) {
            return Ok(rule.clone());
        }
        let rule = Rule::compile(path, format.dialect()).map_err(|error| error.to_string())?;
        paths.make_room();
        paths.rules.insert(path.to_owned(), rule.clone());
        Ok(rule)
    }

    fn target(&mut self, at: usize, path: &str) -> Result<Rc<Target>, String> {
        let format = Arc::clone(&self.call()?.held(at)?.format);
        let paths = self.paths.entry(format.name()).or_default();
        if let Some(target) = paths.targets.get(path) {
            return Ok(Rc::clone(target));
        }
        let target = Rc::new(format.target(path)?);
        paths.make_room();
        paths.targets.insert(path.to_owned(), Rc::clone(&target));
        Ok(target)
    }

    fn get(&mut self, at: usize, path: &str) -> Result<Option<String>, String> {
        let rule = self.rule(at, path)?;
        let call = self.call()?;
        let env = env(call.arrived_ms);
        let held = call.held(at)?;
        let beside = Beside::new(None, &held.metadata);
        rule.first(&*held.document, &env.with_variables(&beside))
    }

    fn get_all(&mut self, at: usize, path: &str) -> Result<Vec<String>, String> {
        let rule = self.rule(at, path)?;
        let call = self.call()?;
        let env = env(call.arrived_ms);
        let held = call.held(at)?;
        let beside = Beside::new(None, &held.metadata);
        rule.strings(&*held.document, &env.with_variables(&beside))
    }

    fn set(&mut self, at: usize, path: &str, values: &[String]) -> Result<(), String> {
        let target = self.target(at, path)?;
        self.call()?
            .held(at)?
            .document
            .set(&target, values)
            .map_err(|error| error.to_string())
    }

    fn delete(&mut self, at: usize, path: &str) -> Result<(), String> {
        let target = self.target(at, path)?;
        self.call()?
            .held(at)?
            .document
            .delete(&target)
            .map_err(|error| error.to_string())
    }

    fn segments(&mut self, at: usize, id: &str) -> Result<Vec<Vec<String>>, String> {
        let document = &self.call()?.held(at)?.document;
        let Some(message) = document.as_any().downcast_ref::<Message>() else {
            return Err("only messages of HL7 v2 have segments".to_owned());
        };
        let wanted = message
            .segments()
            .filter(|segment| id.is_empty() || segment.has_id(id));
        Ok(wanted
            .map(|segment| {
                vec![
                    message.segment_location(segment.index()),
                    segment.id().into_owned(),
                ]
            })
            .collect())
    }

    fn text(&mut self, at: usize) -> Result<String, String> {
        let payload = self.call()?.held(at)?.document.write();
        let bytes = payload
            .as_inline()
            .ok_or("the message is too large to be handed over whole")?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn set_text(&mut self, at: usize, text: String) -> Result<(), String> {
        let held = self.call()?.held(at)?;
        let parsed = held.format.parse(&Payload::inline(text.into()));
        held.document = parsed.map_err(|reject| reject.to_string())?;
        Ok(())
    }

    fn copy(&mut self, at: usize) -> Result<usize, String> {
        let call = self.call()?;
        if call.messages.len() > COPIES_MAX {
            return Err(format!("a script makes at most {COPIES_MAX} copies"));
        }
        let held = call.held(at)?;
        let copy = held.copied();
        call.messages.push(copy);
        Ok(call.messages.len() - 1)
    }

    fn set_meta(&mut self, at: usize, name: String, values: Vec<String>) -> Result<(), String> {
        let metadata = &mut self.call()?.held(at)?.metadata;
        match values.into_iter().next() {
            Some(value) => metadata.set(name, value),
            None => metadata.remove(&name),
        }
        Ok(())
    }

    fn flag(&mut self, code: String, path: String) -> Result<(), String> {
        let flags = &mut self.call()?.flags;
        if flags.len() < FLAGS_MAX {
            flags.push((code, path));
        }
        Ok(())
    }
}

impl Paths {
    fn make_room(&mut self) {
        if self.rules.len() + self.targets.len() >= PATHS_MAX {
            *self = Self::default();
        }
    }
}

fn env(arrived_ms: u64) -> Env<'static> {
    Env::new(Moment::from_unix_millis(
        i64::try_from(arrived_ms).unwrap_or(i64::MAX),
        0,
    ))
}

/// The object through which the realm reaches the host.
pub(super) fn functions<'js>(
    ctx: &Ctx<'js>,
    host: &Rc<RefCell<Host>>,
) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    macro_rules! function {
        ($name:literal, |$host:ident $(, $argument:ident: $kind:ty)*| $body:expr) => {{
            let shared = Rc::clone(host);
            let function = Function::new(ctx.clone(), move |ctx: Ctx<'js> $(, $argument: $kind)*| {
                let mut $host = shared.borrow_mut();
                let result: Result<_, String> = $body;
                result.map_err(|text| Exception::throw_message(&ctx, &text))
            })?;
            object.set($name, function)?;
        }};
    }
    function!("get", |host, at: usize, path: String| host.get(at, &path));
    function!("getAll", |host, at: usize, path: String| host
        .get_all(at, &path));
    function!("set", |host,
                      at: usize,
                      path: String,
                      values: Vec<String>| host
        .set(at, &path, &values));
    function!("delete", |host, at: usize, path: String| host
        .delete(at, &path));
    function!("segments", |host, at: usize, id: String| host
        .segments(at, &id));
    function!("text", |host, at: usize| host.text(at));
    function!("setText", |host, at: usize, text: String| host
        .set_text(at, text));
    function!("copy", |host, at: usize| host.copy(at));
    function!("meta", |host, at: usize, name: String| host
        .call()
        .and_then(|call| {
            Ok(call.held(at)?.metadata.get(&name).map(str::to_owned))
        }));
    function!("setMeta", |host,
                          at: usize,
                          name: String,
                          values: Vec<String>| {
        host.set_meta(at, name, values)
    });
    function!("flag", |host, code: String, path: String| host
        .flag(code, path));
    function!("original", |host| host.call().map(|call| call.original));
    function!("channel", |host| host
        .call()
        .map(|call| call.channel.clone()));
    function!("id", |host| host.call().map(|call| call.id.to_string()));
    Ok(object)
}
