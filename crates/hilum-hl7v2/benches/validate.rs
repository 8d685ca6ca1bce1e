//! Speed of grouping and validation on a typical result message of about 1 kB.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot parse its own message is broken"
)]

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use hilum_hl7v2::structure::DictionaryStructures;
use hilum_hl7v2::validate::{Options, Validator};
use hilum_hl7v2::{Grouping as _, Message};

fn main() {
    divan::main();
}

fn result() -> Vec<u8> {
    let mut text = String::from(
        "MSH|^~\\&|LIS|LAB|EHR|HOSP|20260101120000||ORU^R01^ORU_R01|MSG00001|P|2.5.1\r\
         PID|1||123456^^^HOSP^MR||Muster^Erika^M^^Dr.^^L||19640812|F|||Heidestrasse 17^^Koeln^^51147^DEU||+49221123456^PRN^PH\r\
         PV1|1|I|W1^R101^B2^HOSP||||1234^Arzt^Anna^^^Dr.|||MED||||||||V|998877^^^HOSP^VN|||||||||||||||||||||||||20260101\r\
         ORC|RE|P1001^EHR|F2002^LIS||CM\r\
         OBR|1|P1001^EHR|F2002^LIS|CHEM7^Chemistry panel^L|||20260101110000|||||||20260101111500||1234^Arzt^Anna||||||20260101115500||CH|F\r",
    );
    let rows = [
        ("GLU", "5.4", "3.9-5.5"),
        ("NA", "140", "136-145"),
        ("K", "4.1", "3.5-5.1"),
        ("CREA", "80", "62-106"),
    ];
    for (number, (code, value, range)) in rows.iter().enumerate() {
        text.push_str(&format!(
            "OBX|{}|NM|{code}^Analyte^L||{value}|mmol/L|{range}|N|||F|||20260101113000||TECH1\r",
            number + 1
        ));
    }
    text.push_str("NTE|1|L|Specimen slightly haemolysed.\r");
    text.into_bytes()
}

#[divan::bench]
fn validate(bencher: Bencher<'_, '_>) {
    let message = Message::parse(result()).expect("the message parses");
    let validator = Validator::new(Arc::new(DictionaryStructures::new()), Options::default());
    assert!(
        validator.validate(&message).is_empty(),
        "{:?}",
        validator.validate(&message)
    );
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| validator.validate(black_box(&message)));
}

#[divan::bench]
fn parse_and_validate(bencher: Bencher<'_, '_>) {
    let bytes = bytes::Bytes::from(result());
    let validator = Validator::new(Arc::new(DictionaryStructures::new()), Options::default());
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        let message = Message::parse(black_box(bytes.clone())).expect("the message parses");
        validator.validate(&message)
    });
}

#[divan::bench]
fn group(bencher: Bencher<'_, '_>) {
    let message = Message::parse(result()).expect("the message parses");
    let structures = DictionaryStructures::new();
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench_local(|| structures.groups(black_box(&message)));
}
