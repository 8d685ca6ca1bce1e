//! One QuickJS runtime for each thread, with one frozen realm that all scripts share.
//!
//! A script is wrapped into a function that is compiled once for each thread and called for each
//! message, so that even its own top-level variables are made anew. Time is bounded by counting
//! the interpreter's interrupts, not by a clock, so that a replay ends at the same place.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Persistent, Runtime, Value};

use super::host::{Call, Host, functions};

/// Memory of all scripts of one thread.
pub(super) const MEMORY_MAX: usize = 64_000_000;
/// Stack of one call.
pub(super) const STACK_MAX: usize = 512_000;
/// Interrupts of one call; the interpreter makes one about every ten thousand operations.
pub(super) const INTERRUPTS_MAX: u32 = 2_000;
/// Scripts that a thread keeps compiled.
const SCRIPTS_MAX: usize = 1_000;

type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// How a script ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A message goes on, by its place among those of the call.
    Next(usize),
    Filtered,
    Split(Vec<usize>),
    /// The script rejects the message, with a code of its own.
    Reject(String),
    /// It threw: the kind of error, and the line.
    Threw(String, Option<u32>),
    /// It ran too long.
    Interrupted,
}

/// A script as source, known by a number that no other script has.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) text: String,
}

thread_local! {
    static REALM: RefCell<Option<Realm>> = const { RefCell::new(None) };
}

// Values of the context must go before it, and it before the runtime: fields drop in order.
struct Realm {
    scripts: HashMap<u64, Persistent<Function<'static>>>,
    run: Persistent<Function<'static>>,
    host: Rc<RefCell<Host>>,
    interrupts: Rc<Cell<u32>>,
    context: Context,
    _runtime: Runtime,
}

/// Runs a script on the messages of a call, and gives the call back.
pub(super) fn run(source: &Source, call: Call, seed: u32) -> Result<(Ended, Call), String> {
    REALM.with_borrow_mut(|slot| {
        if slot
            .as_ref()
            .is_some_and(|realm| realm.scripts.len() >= SCRIPTS_MAX)
        {
            *slot = None;
        }
        let realm = match slot {
            Some(realm) => realm,
            None => slot.insert(Realm::new()?),
        };
        let ended = realm.run(source, call, seed);
        // What ran into a limit may have left the heap full.
        if !matches!(
            ended,
            Ok((
                Ended::Next(_) | Ended::Filtered | Ended::Split(_) | Ended::Reject(_),
                _
            ))
        ) {
            *slot = None;
        }
        ended
    })
}

/// Compiles a script, for checking; the error says what is wrong with it.
pub(super) fn check(source: &Source) -> Result<(), String> {
    let realm = Realm::new()?;
    realm.context.with(|ctx| match realm.compile(&ctx, source) {
        Ok(make) => match make.call::<_, Value<'_>>(()).catch(&ctx) {
            Ok(function) if function.is_function() => Ok(()),
            Ok(_) => {
                Err("it has no `export default function` and no function `transform`".to_owned())
            }
            Err(error) => Err(described(&error, &source.name)),
        },
        Err(error) => Err(described(&error, &source.name)),
    })
}

impl Realm {
    fn new() -> Result<Self, String> {
        let failed = |error: rquickjs::Error| format!("the script engine does not start: {error}");
        let runtime = Runtime::new().map_err(failed)?;
        runtime.set_memory_limit(MEMORY_MAX);
        runtime.set_max_stack_size(STACK_MAX);
        let interrupts = Rc::new(Cell::new(0_u32));
        let counter = Rc::clone(&interrupts);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            counter.set(counter.get().saturating_add(1));
            counter.get() > INTERRUPTS_MAX
        })));
        let context = Context::custom::<Intrinsics>(&runtime).map_err(failed)?;
        let host = Rc::new(RefCell::new(Host::default()));
        let run = context.with(|ctx| {
            let setup: Function<'_> = ctx.eval(include_str!("realm.js"))?;
            let run: Function<'_> = setup.call((functions(&ctx, &host)?,))?;
            Ok(Persistent::save(&ctx, run))
        });
        let run = run.map_err(failed)?;
        Ok(Self {
            scripts: HashMap::new(),
            run,
            host,
            interrupts,
            context,
            _runtime: runtime,
        })
    }

    fn compile<'js>(
        &self,
        ctx: &Ctx<'js>,
        source: &Source,
    ) -> Result<Function<'js>, CaughtError<'js>> {
        let mut options = EvalOptions::default();
        options.filename = Some(source.name.clone());
        self.interrupts.set(0);
        ctx.eval_with_options(wrapped(&source.text), options)
            .catch(ctx)
    }

    fn run(&mut self, source: &Source, call: Call, seed: u32) -> Result<(Ended, Call), String> {
        let arrived_ms = call.arrived_ms;
        self.host.borrow_mut().call = Some(call);
        let known = self.scripts.get(&source.number).cloned();
        let ended = self.context.with(|ctx| {
            let make = match known {
                Some(known) => known.restore(&ctx).map_err(|error| error.to_string())?,
                None => self
                    .compile(&ctx, source)
                    .map_err(|error| described(&error, &source.name))?,
            };
            let saved = Persistent::save(&ctx, make.clone());
            let run = self
                .run
                .clone()
                .restore(&ctx)
                .map_err(|error| error.to_string())?;
            self.interrupts.set(0);
            #[expect(
                clippy::cast_precision_loss,
                reason = "milliseconds since 1970 fit a double"
            )]
            let arrived = arrived_ms as f64;
            let result = run
                .call::<_, Vec<Value<'_>>>((make, arrived, seed))
                .catch(&ctx);
            let ended = match result {
                Ok(values) => ended(&values),
                Err(_) if self.interrupts.get() > INTERRUPTS_MAX => Ended::Interrupted,
                Err(error) => threw(&error, &source.name),
            };
            Ok::<_, String>((ended, saved))
        });
        let call = self.host.borrow_mut().call.take();
        let (ended, saved) = ended?;
        self.scripts.insert(source.number, saved);
        call.map(|call| (ended, call))
            .ok_or_else(|| "the call is gone".to_owned())
    }
}

/// The script as a function that gives its function. All is on the first line, so that lines of
/// errors are those of the file.
fn wrapped(text: &str) -> String {
    const EXPORT: &str = "export default";
    let mut out = String::with_capacity(text.len() + 160);
    out.push_str("(function () { \"use strict\"; let __default; ");
    for line in text.split_inclusive('\n') {
        match line.trim_start().strip_prefix(EXPORT) {
            Some(rest) if rest.starts_with([' ', '\t', '(', '\r', '\n']) => {
                out.push_str("__default =");
                out.push_str(rest);
            }
            _ => out.push_str(line),
        }
    }
    out.push_str(
        "\n;return __default ?? (typeof transform === \"function\" ? transform : undefined); })",
    );
    out
}

fn ended(values: &[Value<'_>]) -> Ended {
    let word = values
        .first()
        .and_then(Value::as_string)
        .and_then(|text| text.to_string().ok());
    let places = || {
        values
            .iter()
            .skip(1)
            .filter_map(|value| usize::try_from(value.as_int()?).ok())
    };
    match word.as_deref() {
        Some("filtered") => Ended::Filtered,
        Some("split") => Ended::Split(places().collect()),
        Some("reject") => {
            let code = values
                .get(1)
                .and_then(Value::as_string)
                .and_then(|text| text.to_string().ok());
            Ended::Reject(code.unwrap_or_default())
        }
        _ => Ended::Next(places().next().unwrap_or_default()),
    }
}

/// The kind and line of an error; its text may hold content.
fn threw(error: &CaughtError<'_>, name: &str) -> Ended {
    match error {
        CaughtError::Exception(exception) => {
            let kind: Option<String> = exception.as_object().get("name").ok();
            let plain =
                |kind: &String| kind.len() <= 40 && kind.chars().all(|c| c.is_ascii_alphanumeric());
            let kind = kind.filter(plain).unwrap_or_else(|| "Error".to_owned());
            Ended::Threw(kind, exception.stack().and_then(|stack| line(&stack, name)))
        }
        CaughtError::Value(_) => Ended::Threw("a value".to_owned(), None),
        CaughtError::Error(_) => Ended::Threw("Error".to_owned(), None),
    }
}

/// The first line of the script that a stack names.
fn line(stack: &str, name: &str) -> Option<u32> {
    let (_, rest) = stack.split_once(&format!("{name}:"))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// An error as the author of a script sees it while checking.
fn described(error: &CaughtError<'_>, name: &str) -> String {
    match error {
        CaughtError::Exception(exception) => {
            let text = exception.message().unwrap_or_default();
            match exception.stack().and_then(|stack| line(&stack, name)) {
                Some(line) => format!("line {line}: {text}"),
                None => text,
            }
        }
        CaughtError::Value(_) => "it throws while it is loaded".to_owned(),
        CaughtError::Error(error) => error.to_string(),
    }
}
