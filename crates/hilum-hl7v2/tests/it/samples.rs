//! Real material parses and is written back.

use hilum_hl7v2::{Message, Reject};

use crate::shared::{files, shared};

#[test]
fn every_sample_is_written_back_byte_for_byte() {
    let Some(shared) = shared("every sample") else {
        return;
    };
    let mut parsed = 0;
    for file in files(&shared.join("samples/hl7v2"), "hl7") {
        let bytes = std::fs::read(&file).unwrap();
        match Message::parse(bytes.clone()) {
            Ok(message) => {
                assert_eq!(message.write(), bytes, "{}", file.display());
                parsed += 1;
            }
            Err(Reject::Batch) => {}
            Err(reject) => println!("{}: {reject}", file.display()),
        }
    }
    assert!(parsed > 200, "{parsed}");
}
