//! Real material: parses, is written back, and behaves as its authors expect.

use hilum_hl7v2::{Message, ParseOptions, Path, Status, batch, inspect};
use serde_json::Value;

use crate::shared::{files, shared};

#[test]
fn every_sample_is_written_back_byte_for_byte() {
    let Some(shared) = shared("every sample") else {
        return;
    };
    let mut parsed = 0;
    for file in files(&shared.join("samples/hl7v2"), "hl7") {
        let bytes = std::fs::read(&file).unwrap();
        let split = batch::split(&bytes);
        let looked = inspect(bytes.clone(), &ParseOptions::default());
        assert_eq!(
            looked.status == Status::Reject,
            split.messages.is_empty(),
            "{}",
            file.display()
        );
        for range in &split.messages {
            let bytes = &bytes[range.clone()];
            let message = Message::parse(bytes.to_vec())
                .unwrap_or_else(|reject| panic!("{}: {reject}", file.display()));
            assert_eq!(message.write(), bytes, "{}", file.display());
            parsed += 1;
        }
        if split.messages.is_empty() {
            println!("no message in {}", file.display());
        }
    }
    assert!(parsed > 800, "{parsed}");
}

/// The code with which we say what the expectation says in words.
fn code(words: &str) -> &'static str {
    match words {
        "segment terminator LF" => "terminator-lf",
        "segment terminator CRLF" => "terminator-crlf",
        "raw LF inside field" => "lf-in-field",
        "MSH-2 shorter than four" => "msh-2-short",
        "MSH-9 has no trigger event" => "msh-9-no-trigger",
        "MSH-10 empty" => "msh-10-empty",
        "MSH-12 missing" => "msh-12-missing",
        "unknown MSH-18" => "charset-unknown",
        "unknown or unpaired escape kept as text" => "escape-unknown",
        "leading white space" => "leading-bytes",
        "segment id in lower case" => "segment-id-lower-case",
        "OBX-2 missing while OBX-5 is present" => "obx-2-missing",
        "PV1 after OBX" => "segment-order",
        "BTS-1 says 2, found 1" => "batch-count",
        "duplicate MSH-10" => "msh-10-repeated",
        text if text.starts_with("not valid UTF-8") => "charset-fallback",
        text => panic!("no code for {text}"),
    }
}

fn check_robustness(name: &str, bytes: &[u8], expected: &Value) {
    let looked = inspect(bytes.to_vec(), &ParseOptions::default());
    let status = match looked.status {
        Status::Ok => "ok",
        Status::Warning => "ok-with-warning",
        Status::Reject => "reject",
    };
    assert_eq!(status, expected["parse"], "{name}: {}", looked.to_json());
    if let Some(words) = expected["warning"].as_str() {
        let codes: Vec<&str> = looked
            .messages
            .iter()
            .flat_map(|message| &message.warnings)
            .map(|warning| warning.code.as_str())
            .collect();
        assert!(codes.contains(&code(words)), "{name}: {codes:?}");
    }
    if let Some(why) = expected["why"].as_str() {
        assert_eq!(looked.reason.as_deref(), Some(why), "{name}");
        return;
    }
    if let Some(count) = expected["messages"].as_u64() {
        assert_eq!(looked.messages.len() as u64, count, "{name}");
    }
    if let Some(count) = expected["bts"].as_u64() {
        assert_eq!(batch::split(bytes).declared, Some(count), "{name}");
    }
    let first = &looked.messages[0];
    if let Some(count) = expected["segments"].as_u64() {
        assert_eq!(first.segments as u64, count, "{name}");
    }
    if let Some(id) = expected["control_id"].as_str() {
        assert_eq!(first.control_id.as_deref(), Some(id), "{name}");
    }
    check_values(name, bytes, expected);
    let json: Value = serde_json::from_str(&looked.to_json()).unwrap();
    assert_eq!(
        json["messages"].as_array().unwrap().len(),
        looked.messages.len()
    );
}

fn check_values(name: &str, bytes: &[u8], expected: &Value) {
    let range = batch::split(bytes).messages.remove(0);
    let message = Message::parse(bytes[range].to_vec()).unwrap();
    let get = |path: &str| {
        message
            .get(&Path::parse(path).unwrap())
            .map(|v| v.into_owned())
    };
    let places = [
        ("obx5", "OBX[1]-5"),
        ("nte3", "NTE-3"),
        ("pid5_family", "PID-5.1"),
    ];
    for (key, path) in places {
        if let Some(value) = expected[key].as_str() {
            assert_eq!(get(path).as_deref(), Some(value), "{name} {path}");
        }
    }
    if let Some(count) = expected["pid5_reps"].as_u64() {
        assert_eq!(
            message.parts(&Path::parse("PID-5").unwrap()).len() as u64,
            count,
            "{name}"
        );
    }
    if let Some(truncation) = expected["truncation"].as_str() {
        assert_eq!(
            message.delimiters().truncation,
            truncation.bytes().next(),
            "{name}"
        );
    }
    if let Some(ids) = expected["z"].as_array() {
        let found: Vec<Value> = message
            .segments()
            .filter(|segment| segment.id().starts_with('Z'))
            .map(|segment| segment.id().into_owned().into())
            .collect();
        assert_eq!(&found, ids, "{name}");
    }
    let second = message.parts(&Path::parse("OBX[2]-5").unwrap());
    if expected["obx5_2"] == "explicit null" {
        assert!(second[0].is_null(), "{name}");
        assert_eq!(second[0].text(), "\"\"", "{name}");
    }
    if let Some(count) = expected["obx5_2_bytes"].as_u64() {
        // The document behind the base64 of component 5.
        let base64 = second[0].nth(5).unwrap().raw();
        let padding = base64.iter().filter(|byte| **byte == b'=').count();
        assert_eq!((base64.len() / 4 * 3 - padding) as u64, count, "{name}");
    }
}

#[test]
fn deviations_met_in_the_field_behave_as_expected() {
    let Some(shared) = shared("robustness") else {
        return;
    };
    let folder = shared.join("samples/hl7v2/robustness");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        check_robustness(name, &std::fs::read(folder.join(name)).unwrap(), expected);
    }
}
