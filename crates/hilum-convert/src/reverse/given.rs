//! What a conversion is told, as rows ask for it.

use std::borrow::Cow;

use hilum_fhir::definitions::PrimitiveKind;

use super::plan::Given;
use super::value;
use super::{Sent, V2Settings};

/// The event of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    pub(super) code: String,
    pub(super) trigger: String,
    pub(super) structure: String,
}

/// What is given for one message.
#[derive(Debug)]
pub(super) struct Givens<'a> {
    pub(super) settings: &'a V2Settings,
    pub(super) sent: Sent<'a>,
    pub(super) event: Event,
    /// Which message of this Bundle, from 0.
    pub(super) message: usize,
    /// Which segment of its name, from 1.
    pub(super) index: u32,
}

impl Givens<'_> {
    pub(super) fn text(&self, given: Given) -> Cow<'_, str> {
        let optional = |text: &'_ Option<String>| match text {
            Some(text) => Cow::Owned(text.clone()),
            None => Cow::Borrowed(""),
        };
        match given {
            Given::Code => Cow::Borrowed(self.event.code.as_str()),
            Given::Trigger => Cow::Borrowed(self.event.trigger.as_str()),
            Given::Structure => Cow::Borrowed(self.event.structure.as_str()),
            Given::Version => Cow::Borrowed(self.settings.version.as_str()),
            Given::Time => {
                let mut text = String::new();
                let zone = self.settings.zone.as_deref();
                value::primitive(Some(PrimitiveKind::Instant), self.sent.at, zone, &mut text);
                Cow::Owned(text)
            }
            Given::ControlId if self.message == 0 => Cow::Borrowed(self.sent.control_id),
            Given::ControlId => {
                Cow::Owned(format!("{}-{}", self.sent.control_id, self.message + 1))
            }
            Given::ProcessingId => Cow::Borrowed(self.settings.processing_id.as_str()),
            Given::SendingApplication => optional(&self.settings.sending_application),
            Given::SendingFacility => optional(&self.settings.sending_facility),
            Given::ReceivingApplication => optional(&self.settings.receiving_application),
            Given::ReceivingFacility => optional(&self.settings.receiving_facility),
            Given::Charset => Cow::Borrowed("UNICODE UTF-8"),
            Given::Index => Cow::Owned(self.index.to_string()),
        }
    }

    /// Whether a text may have components of its own.
    pub(super) const fn has_parts(given: Given) -> bool {
        matches!(
            given,
            Given::SendingApplication
                | Given::SendingFacility
                | Given::ReceivingApplication
                | Given::ReceivingFacility
        )
    }
}
