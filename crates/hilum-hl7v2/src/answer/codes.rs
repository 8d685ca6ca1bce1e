//! The codes of answers: tables 0008, 0155, 0357 and 0516.

use std::fmt;

/// What an answer says (table 0008, MSA-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    Aa,
    /// Application error.
    Ae,
    /// Application reject.
    Ar,
    /// Commit accept: stored.
    Ca,
    /// Commit error: could not be stored, try again.
    Ce,
    /// Commit reject: will never be taken.
    Cr,
}

impl AckCode {
    /// As MSA-1 has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "AA",
            Self::Ae => "AE",
            Self::Ar => "AR",
            Self::Ca => "CA",
            Self::Ce => "CE",
            Self::Cr => "CR",
        }
    }

    /// Reads MSA-1, case ignored.
    pub fn named(text: &str) -> Option<Self> {
        [Self::Aa, Self::Ae, Self::Ar, Self::Ca, Self::Ce, Self::Cr]
            .into_iter()
            .find(|code| code.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// AA and CA.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Aa | Self::Ca)
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When an answer is wanted (table 0155, MSH-15 and MSH-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCondition {
    /// AL.
    Always,
    /// NE.
    Never,
    /// ER.
    Error,
    /// SU.
    Success,
}

impl AckCondition {
    /// Reads MSH-15 or MSH-16.
    pub fn named(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_uppercase().as_str() {
            "AL" => Self::Always,
            "NE" => Self::Never,
            "ER" => Self::Error,
            "SU" => Self::Success,
            _ => return None,
        })
    }

    /// Whether an answer is wanted for a good message.
    pub fn on_success(self) -> bool {
        matches!(self, Self::Always | Self::Success)
    }

    /// Whether an answer is wanted for a bad message.
    pub fn on_error(self) -> bool {
        matches!(self, Self::Always | Self::Error)
    }
}

/// How bad an error is (table 0516, ERR-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AckSeverity {
    /// E.
    #[default]
    Error,
    /// W.
    Warning,
    /// I.
    Information,
}

impl AckSeverity {
    /// As ERR-4 has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Warning => "W",
            Self::Information => "I",
        }
    }
}

/// The code for what table 0357 has no code for.
pub const INTERNAL_ERROR: &str = "207";

/// The meaning of a code of table 0357 (message error condition codes).
pub fn error_text(code: &str) -> Option<&'static str> {
    Some(match code {
        "0" => "Message accepted",
        "100" => "Segment sequence error",
        "101" => "Required field missing",
        "102" => "Data type error",
        "103" => "Table value not found",
        "104" => "Value too long",
        "198" => "Non-conformant cardinality",
        "199" => "Other HL7 error",
        "200" => "Unsupported message type",
        "201" => "Unsupported event code",
        "202" => "Unsupported processing id",
        "203" => "Unsupported version id",
        "204" => "Unknown key identifier",
        "205" => "Duplicate key identifier",
        "206" => "Application record locked",
        "207" => "Application internal error",
        _ => return None,
    })
}
