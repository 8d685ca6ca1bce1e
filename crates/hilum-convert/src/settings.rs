//! What a conversion is told beside the message.

use crate::value::outside::Outside;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A time as a clock on the wall shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// From 1.
    pub year: u16,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// A time zone. This crate has no table of zones; whoever calls it has.
pub trait Zone: fmt::Debug + Send + Sync {
    /// Minutes ahead of UTC at a local time; `None` where there is no such time.
    fn offset_minutes(&self, local: LocalTime) -> Option<i32>;

    /// Whether the clock shows a local time twice or never, because it is changed there.
    fn change(&self, _local: LocalTime) -> Option<ClockChange> {
        None
    }
}

/// A local time that no single instant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// In the hour that comes twice.
    Twice,
    /// In the hour that is left out.
    Never,
}

/// The sign that a system writes between whole and fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalSign {
    /// `4.1`; thousands may be parted by commas or blanks.
    Point,
    /// `4,1`; thousands may be parted by points or blanks.
    Comma,
}

/// A zone that never changes: minutes ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedZone(pub i32);

impl Zone for FixedZone {
    fn offset_minutes(&self, _local: LocalTime) -> Option<i32> {
        Some(self.0)
    }
}

/// The kind of Bundle that is made (FHIR R4 bundle.html).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BundleType {
    /// To be carried out by a server: what is known is updated.
    #[default]
    Transaction,
    /// A FHIR message, MessageHeader first.
    Message,
    /// Resources and nothing more.
    Collection,
}

/// How the message as it came is kept in the Bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Original {
    /// It is not.
    #[default]
    None,
    /// As a Binary.
    Binary,
    /// As the attachment of a DocumentReference.
    DocumentReference,
}

/// Where documents that a message brings (ED, the text of an MDM) stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachments {
    /// In the attachment itself.
    #[default]
    Inline,
    /// Each in a Binary, to which the attachment has a URL.
    Binary,
}

/// What holds for all messages of a source.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The zone of times without an offset of their own, where MSH-7 has none either. Without one
    /// only their date is written.
    pub zone: Option<Arc<dyn Zone>>,
    /// How the sender writes numbers; where it is not declared, as the standard has them and no
    /// other way.
    pub decimal: Option<DecimalSign>,
    /// `%country`.
    pub country: Option<String>,
    /// `%profile`.
    pub profile: Option<String>,
    /// `%software`.
    pub software: Option<String>,
    /// Assigning authorities (a namespace or a universal id) and their URIs.
    pub authorities: BTreeMap<String, String>,
    /// Names of coding systems and their URIs, before those that the standard knows.
    pub systems: BTreeMap<String, String>,
    /// The kind of Bundle.
    pub bundle: BundleType,
    /// How the message is kept.
    pub original: Original,
    /// Where documents in it stand.
    pub attachments: Attachments,
    /// Whether a transaction says when what it holds was so and what it deletes
    /// ([`hilum_message::as_of`]).
    pub as_of: bool,
    /// Whether what the event of the message says is taken back, and not said.
    pub taken_back: bool,
    /// The segments whose lists are all there is, with the types of messages (`ADT^A08`) in which an
    /// absent one means that there is none. Of any other absence deletes nothing.
    pub snapshots: BTreeMap<String, Vec<String>>,
    /// Documents that lie outside memory, by what stands for them in the message
    /// ([`hilum_message::Tokens`]).
    pub outside: BTreeMap<String, Outside>,
    /// The name of the system whose lists they are.
    pub system: String,
    /// Whether each element can say why it is there.
    pub explain: bool,
}

/// What holds for one message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived<'a> {
    /// The id that the message has here; ids in the Bundle derive from it.
    pub id: &'a str,
    /// When it arrived, as an instant of FHIR.
    pub at: &'a str,
}
