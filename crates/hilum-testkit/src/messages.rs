//! Synthetic HL7 v2 messages: the same seed gives the same message.
//!
//! Names, identifiers and addresses are made up; the local codes are those of an imaginary
//! laboratory, so that translation tables have something to do.

const FAMILIES: [&str; 8] = [
    "ZZTEST",
    "SAMPLE",
    "DUMMY",
    "EXAMPLE",
    "MOCKMAN",
    "FICTUS",
    "NOREAL",
    "PLACEHOLDER",
];
const GIVEN: [&str; 8] = [
    "ALMA", "BORIS", "CHIDI", "DAGNY", "EMIL", "FREYA", "GORAN", "HANA",
];
const WARDS: [&str; 6] = ["ICU", "MED1", "MED2", "SURG", "PAED", "ONC"];
/// Local code, text, unit, range, lowest and highest value in tenths.
const TESTS: [(&str, &str, &str, &str, u64, u64); 5] = [
    ("K", "Kalium", "mmol/l", "3.5-5.1", 31, 62),
    ("NA", "Natrium", "mmol/l", "135-145", 1290, 1490),
    ("CREA", "Kreatinin", "umol/l", "59-104", 450, 2400),
    ("HB", "Haemoglobin", "g/l", "120-160", 700, 1750),
    ("CRP", "CRP", "mg/l", "0-5", 2, 2900),
];
const DRUGS: [(&str, &str, &str); 4] = [
    ("0001", "PARACETAMOL 500 MG TABLET", "500^MG"),
    ("0002", "AMOXICILLIN 500 MG CAPSULE", "500^MG"),
    ("0003", "ENOXAPARIN 40 MG SYRINGE", "40^MG"),
    ("0004", "POTASSIUM CHLORIDE 20 MMOL", "20^MMOL"),
];

/// What happens to a synthetic patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// ADT^A01.
    Admit,
    /// ADT^A08.
    Update,
    /// ADT^A03.
    Discharge,
    /// ORU^R01 with local codes.
    Result,
    /// ORU^R01 with one potassium of this many tenths of mmol/l.
    Potassium(u64),
    /// RDE^O11.
    Prescription,
}

/// A synthetic message.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic {
    /// Chooses the patient and everything about the patient.
    pub patient: u64,
    /// Chooses control id, order number and values.
    pub sequence: u64,
    /// What happens.
    pub event: Event,
}

impl Synthetic {
    /// A message of this event for this patient.
    #[must_use]
    pub const fn new(event: Event, patient: u64, sequence: u64) -> Self {
        Self {
            patient,
            sequence,
            event,
        }
    }

    /// MSH-10.
    #[must_use]
    pub fn control_id(&self) -> String {
        format!("T{:09}", self.sequence)
    }

    /// PID-3.1.
    #[must_use]
    pub fn patient_id(&self) -> String {
        format!("9{:07}", self.patient % 10_000_000)
    }

    /// The message, segments ended by CR.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut lines = vec![self.msh()];
        if !matches!(
            self.event,
            Event::Result | Event::Potassium(_) | Event::Prescription
        ) {
            lines.push(format!("EVN|{}|{}", self.trigger(), self.time()));
        }
        lines.push(self.pid());
        lines.push(self.pv1());
        match self.event {
            Event::Admit | Event::Update | Event::Discharge => {}
            Event::Result => {
                self.result(&mut lines, None);
            }
            Event::Potassium(tenths) => self.result(&mut lines, Some(tenths)),
            Event::Prescription => self.prescription(&mut lines),
        }
        let mut text = lines.join("\r");
        text.push('\r');
        text.into_bytes()
    }

    /// The message with a note that brings it to at least `bytes`.
    #[must_use]
    pub fn build_padded(&self, bytes: usize) -> Vec<u8> {
        let mut message = self.build();
        let mut line = 0;
        while message.len() < bytes {
            line += 1;
            let note = format!("NTE|{line}||synthetic remark without meaning, line {line}\r");
            message.extend_from_slice(note.as_bytes());
        }
        message
    }

    const fn trigger(&self) -> &'static str {
        match self.event {
            Event::Admit => "A01",
            Event::Update => "A08",
            Event::Discharge => "A03",
            Event::Result | Event::Potassium(_) => "R01",
            Event::Prescription => "O11",
        }
    }

    fn msh(&self) -> String {
        let (application, kind) = match self.event {
            Event::Admit => ("PAS", "ADT^A01^ADT_A01"),
            Event::Update => ("PAS", "ADT^A08^ADT_A01"),
            Event::Discharge => ("PAS", "ADT^A03^ADT_A03"),
            Event::Result | Event::Potassium(_) => ("LIS", "ORU^R01^ORU_R01"),
            Event::Prescription => ("CPOE", "RDE^O11^RDE_O11"),
        };
        format!(
            "MSH|^~\\&|{application}|STE|HILUM|STE|{}||{kind}|{}|P|2.5.1|||AL|NE||UNICODE UTF-8",
            self.time(),
            self.control_id(),
        )
    }

    fn pid(&self) -> String {
        let mix = mix(self.patient);
        let family = pick(&FAMILIES, mix);
        let given = pick(&GIVEN, mix >> 8);
        let sex = if mix & 1 == 0 { "F" } else { "M" };
        let (year, month, day) = (
            1930 + (mix >> 16) % 90,
            1 + (mix >> 24) % 12,
            1 + (mix >> 28) % 28,
        );
        format!(
            "PID|1||{}^^^STE^MR||{family}^{given}||{year:04}{month:02}{day:02}|{sex}|||{} Nowhere Lane^^Testville^^00000",
            self.patient_id(),
            1 + (mix >> 32) % 200,
        )
    }

    fn pv1(&self) -> String {
        let mix = mix(self.patient);
        let ward = pick(&WARDS, mix >> 40);
        format!(
            "PV1|1|I|{ward}^{:02}^{}^STE||||1001^CARER^ADA||||||||||||V{:07}",
            1 + (mix >> 44) % 30,
            1 + (mix >> 50) % 2,
            self.patient % 10_000_000,
        )
    }

    fn result(&self, lines: &mut Vec<String>, potassium: Option<u64>) {
        let order = format!("L{:08}", self.sequence);
        lines.push(format!("ORC|RE|{order}|{order}"));
        let time = self.time();
        lines.push(format!(
            "OBR|1|{order}|{order}|CHEM^Chemie^L|||{time}|||||||||||||||{time}|||F"
        ));
        let seed = mix(self.sequence);
        let count = if potassium.is_some() {
            1
        } else {
            1 + seed % TESTS.len() as u64
        };
        for at in 0..count {
            let (code, text, unit, range, low, high) =
                TESTS[usize::try_from(at).unwrap_or_default() % TESTS.len()];
            let drawn = low + mix(self.sequence ^ (at << 32)) % (high - low);
            let tenths = potassium.unwrap_or(drawn);
            let value = format!("{}.{}", tenths / 10, tenths % 10);
            let set_id = at + 1;
            lines.push(format!(
                "OBX|{set_id}|NM|{code}^{text}^L||{value}|{unit}|{range}|{}|||F|||{time}",
                if potassium.is_some_and(|tenths| tenths >= 60) {
                    "HH"
                } else {
                    ""
                },
            ));
        }
    }

    fn prescription(&self, lines: &mut Vec<String>) {
        let (code, text, dose) = DRUGS[usize::try_from(self.sequence % 4).unwrap_or_default()];
        let order = format!("P{:08}", self.sequence);
        lines.push(format!("ORC|NW|{order}||||||||||1001^CARER^ADA"));
        lines.push(format!(
            "RXE|1^TID^^{}|{code}^{text}^L|{}|",
            self.time(),
            dose.replace('^', "||")
        ));
        lines.push("RXR|PO".to_owned());
    }

    /// A time that follows from the sequence: one second for each message from 2026-01-01, in months of 28
    /// days, so that no later message is the older one.
    fn time(&self) -> String {
        let second = self.sequence % 86_400;
        let days = self.sequence / 86_400;
        let (day, months) = (1 + days % 28, days / 28);
        let (month, year) = (1 + months % 12, 2026 + months / 12);
        format!(
            "{year}{month:02}{day:02}{:02}{:02}{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// A positive answer to a message, as a well-behaved receiver gives it.
#[must_use]
pub fn answer(message: &[u8], code: &str, control_id: Option<&str>) -> Vec<u8> {
    let own = field(message, 10);
    let id = control_id.map_or(own, str::as_bytes);
    let mut out = b"MSH|^~\\&|FAKE|STE|HILUM|STE|20260101000000||ACK|A".to_vec();
    out.extend_from_slice(own);
    out.extend_from_slice(b"|P|2.5.1\rMSA|");
    out.extend_from_slice(code.as_bytes());
    out.push(b'|');
    out.extend_from_slice(id);
    out.push(b'\r');
    out
}

/// The bytes of MSH-`number` (2 or more) of a message; empty if there is none.
#[must_use]
pub fn field(message: &[u8], number: usize) -> &[u8] {
    let Some(&separator) = message.get(3) else {
        return b"";
    };
    let msh = message
        .split(|&byte| byte == b'\r' || byte == b'\n')
        .next()
        .unwrap_or_default();
    msh.split(|&byte| byte == separator)
        .nth(number - 1)
        .unwrap_or_default()
}

fn pick(list: &[&'static str], mix: u64) -> &'static str {
    list[usize::try_from(mix % list.len() as u64).unwrap_or_default()]
}

/// SplitMix64: spreads a counter over all bits.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_message() {
        for event in [
            Event::Admit,
            Event::Update,
            Event::Discharge,
            Event::Result,
            Event::Potassium(71),
            Event::Prescription,
        ] {
            let message = Synthetic::new(event, 7, 42);
            assert_eq!(message.build(), message.build());
            assert_eq!(field(&message.build(), 10), b"T000000042");
            assert!(message.build().ends_with(b"\r"), "{event:?}");
            assert!(message.build_padded(1366).len() >= 1366);
        }
        let text = String::from_utf8(Synthetic::new(Event::Potassium(71), 7, 42).build()).unwrap();
        assert!(
            text.contains("|K^Kalium^L||7.1|mmol/l|3.5-5.1|HH|||F"),
            "{text}"
        );
        assert_eq!(
            answer(b"MSH|^~\\&|A|B|C|D|E|F|G|id7|P", "AA", None)
                .split(|&b| b == b'\r')
                .nth(1),
            Some(&b"MSA|AA|id7"[..])
        );
    }
}
