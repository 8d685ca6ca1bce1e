//! Who a message is about.
//!
//! A number of a patient, a visit or an order is kept with whoever assigned it, and each has a row in
//! the state of the node, which is the only copy: a merge, a move or a link changes which rows belong
//! together and never what a row says, so that all of it can be undone. [`assess`] holds a message
//! against the rows and says whether it agrees with them; [`remember`] adds what it says.
//!
//! Invariants: pure over [`Memory`], without clock and I/O; the same message over the same state gives
//! the same result; an id never derives from a number of the patient; a message that contradicts what
//! is known changes nothing; an older message changes nothing that a newer one has said.
//!
//! It knows no protocol: which field is a number, an event or a time is for whoever reads the message.
//! The codes of events and states are those of the tables of HL7, which other protocols use as well.

mod aside;
mod assess;
mod event;
mod identifier;
mod links;
mod person;
mod record;
mod remember;
mod reported;
pub mod results;
mod time;
mod told;

pub use hilum_message::SourceTime;

pub use assess::{Assessment, Contradiction, Facts, Kind, Notice, OrderFacts, Unknown, assess};
pub use event::{Act, EVENTS, Event, Level, VisitStatus};
pub use identifier::{Identifier, REASSIGNED, UNDO};
pub use links::{
    CHAIN_MAX, Cause, Lanes, LinkError, Sides, apply, left_out, linked, surviving_visit, survivor,
    undo,
};
pub use person::{Comparison, Likeness, Person, birth_order};
pub use record::{
    CHILDREN_MAX, Changed, EVENTS_KEPT, LATE_KEPT, LinkChange, LinkEvent, Memory,
    ORDER_REMEMBERED_MS, Order, Patient, Row, Rows, Said, Standing, Unreadable, VISITS_KEPT, Visit,
    read, remembered_until, write,
};
pub use remember::remember;
pub use reported::{OBSERVATIONS_MAX, Observation, Vouched, digest, report};
pub use told::{
    Field, ITEM, NULL, Newer, Overtaken, TOLD_ITEMS_MAX, TOLD_VALUE_MAX, overtaken, tell,
};
