//! The contract between the engine and its components.
//!
//! A component is a [`Format`], a [`Source`], a [`Step`] or a [`Destination`]. It is described by
//! a [`ComponentSpec`], built from a checked piece of configuration, and run by the engine, which
//! knows none of them by name. [`process`] is the pure path of a message through a channel: the
//! engine, `hilum test`, traces and replays all call it.
//!
//! Invariants: a step never waits; a source cannot say yes without an
//! [`hilum_message::Accepted`]; nothing here opens a socket or a file, or reads a clock.

#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod destination;
mod fhir;
mod format;
mod leaves;
mod marks;
mod object;
mod order;
mod plan;
mod process;
mod rule;
mod source;
mod spec;
mod state;
mod step;
mod terminology;
mod value;

pub use context::{
    Authority, BuildContext, DecimalSign, Elsewhere, Problem, SendsAs, Site, SystemInfo,
    UnknownPatient,
};
pub use destination::{
    AnswerRow, AnswerTable, BlobReader, Class, Delivered, Delivery, DeliveryError, Destination,
    Outcome, Reached,
};
pub use fhir::{
    DELIVERY_ID_MAX, FhirApart, FhirChange, FhirChanges, FhirDoor, FhirInteraction, FhirMethod,
    FhirPlace, FhirPort, FhirRequest, FhirResponse, FhirStores, FhirWanted,
};
pub use format::{
    Answer, AnswerMode, Document, DocumentProblem, EditError, Format, FormatOptions, Identity,
    Offsets, ParseReject, PeerAnswer, SealedAnswer, Sent, Severity, Split, Target, Verdict,
};
pub use leaves::{ChangedLeaf, LEAVES_MAX, Leaves, changed_leaves, leaves};
pub use marks::{
    CRITICAL, CRITICAL_WITHIN, Care, FIRST_RECEIVED, LabelList, Labelled, Marking, Marks, SECURITY,
    TEST, TestMessages, TestPatients, WITHDRAWS, marked,
};
pub use object::{Object, ObjectKind};
pub use order::{LinkedKeys, Order, OrderKeys};
pub use plan::{
    Acknowledge, AfterReject, AlertRule, CLOCK_SKEW_MAX, ChannelPlan, DestinationFactory,
    DestinationKind, DestinationPlan, IndexField, Plan, ResendPlan, RetryPlan, SenderClock, Sends,
    SourceFactory, SourceKind, SourcePlan, StepPlan, Window,
};
pub use process::{
    Beside, ClockReading, Disposition, Finding, Hold, Incoming, PlannedDelivery,
    ProcessEnvironment, Processed, REPEATS_RECEIVED, Reason, Released, ReleasedBy, SPLIT_MAX,
    StepOutcome, StepTrace, TRACED_CHANGES_MAX, answer, apply_alone, process, receive, trace,
};
pub use rule::{Rule, RuleError, reply_options};
pub use source::{
    Arrival, BlobWriter, Intake, IntakePort, NotTaken, Partial, Peer, Reply, SOURCE_SCOPE, Source,
    SourceError, Stop, StopHandle,
};
pub use spec::{Build, Built, ComponentKind, ComponentSpec, Example, Limit, Registry, StepExample};
pub use state::{StateChange, StateRead, StateView, Stored, TimerChange};
pub use step::{
    Flow, Halted, Meter, Step, StepContext, TraceLine, UNMAPPED_PER_MESSAGE_MAX, Unlimited,
    UnmappedCode, UnmappedFate, Working,
};
pub use terminology::{
    CodeMap, CodeSet, CodeSystem, Fact, Held, Mapped, NotListed, NotLoaded, Terminology,
};
pub use value::{Expr, Millis, PathText, Secret, SiteFile, Size, SystemName};

/// A boxed future, as every asynchronous part of the contract returns it.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
