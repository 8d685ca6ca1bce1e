//! No text makes loading panic, and every limit has a test just over it.

use hilum_config::{DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX, Options, load, render};
use proptest::prelude::*;

use crate::good::{RESULTS, TABLE};
use crate::{EHR, HILUM, LIS, fake, folder, load_files};

/// Loads a site with this file; the diagnostics must be printable and lie in the text.
fn load_any(path: &str, text: &str) {
    let mut files = vec![HILUM, EHR, LIS, TABLE];
    files.retain(|(known, _)| *known != path);
    files.push((path, text));
    let loaded = load(
        folder(&files).path(),
        &fake::registry(),
        &Options::default(),
    );
    drop(render(&loaded.diagnostics));
    drop(serde_json::to_string(&loaded.diagnostics).unwrap());
    for place in loaded
        .diagnostics
        .iter()
        .filter_map(|d| d.place.as_ref())
        .filter(|p| p.file == path)
    {
        let (start, end) = (place.span.0 as usize, place.span.1 as usize);
        assert!(text.get(start..end).is_some(), "{start}..{end} of {text:?}");
    }
    assert_eq!(loaded.plan.is_some(), loaded.errors() == 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        load_any("channels/a.yaml", &text);
    }

    #[test]
    fn texts_that_look_like_yaml(parts in prop::collection::vec(
        prop::sample::select(vec![
            "channel: a", "\n", "\n  ", "- ", ": ", "{", "}", "[", "]", "'", "\"", "# x", "é", "\u{feff}",
            "from:", "to:", "steps:", "set:", "filter", "MSH-5", "&a ", "*a", "!!x ", "|\n", "> ", "---\n", "\t",
            "? ", "%", "\r\n", "order", "wire:", "system: ehr", "null", "0x", "1e9", ",", "topic: t", "when: ",
        ]), 0..40)) {
        load_any("channels/a.yaml", &parts.concat());
        load_any("systems/x.yaml", &parts.concat());
        load_any("hilum.yaml", &parts.concat());
        load_any("environments/e.yaml", &parts.concat());
    }

    #[test]
    fn good_files_with_a_piece_cut_out_or_doubled(from in 0_usize..900, length in 0_usize..60, twice: bool) {
        let text = RESULTS.1.to_owned();
        let (from, to) = (from.min(text.len()), (from + length).min(text.len()));
        let (Some(before), Some(piece), Some(after)) = (text.get(..from), text.get(from..to), text.get(to..)) else {
            return Ok(());
        };
        let middle = if twice { piece.repeat(2) } else { String::new() };
        load_any("channels/results.yaml", &format!("{before}{middle}{after}"));
    }
}

#[test]
fn limits_hold_just_beyond_them() {
    let check = |text: &str, message: &str| {
        let loaded = load_files(&[HILUM, ("channels/a.yaml", text)]);
        let found = loaded
            .diagnostics
            .iter()
            .find(|d| d.code == "E0004")
            .map(|d| d.message.as_str());
        assert_eq!(found, (!message.is_empty()).then_some(message));
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&nested(DEPTH_MAX + 1), "");
    check(&nested(DEPTH_MAX + 2), "the file has more than 48 levels");
    let wide = |count: usize| format!("[{}]", "1,".repeat(count));
    check(&wide(NODES_MAX - 1), "");
    check(&wide(NODES_MAX), "the file has more than 200000 values");
    let long = |bytes: usize| format!("about: {}", "x".repeat(bytes - 7));
    check(&long(FILE_BYTES_MAX), "");
    check(
        &long(FILE_BYTES_MAX + 1),
        "the file has 1048577 bytes, more than the 1048576 that are read",
    );
    // A level of flow collections beyond what the parser itself follows.
    assert!(
        load_files(&[HILUM, ("channels/a.yaml", &"[".repeat(100_000))])
            .plan
            .is_none()
    );
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    let bomb = load_files(&[HILUM, ("channels/a.yaml", bomb)]);
    assert!(
        bomb.diagnostics
            .iter()
            .filter(|d| d.code == "E0003")
            .count()
            >= 3
    );
}

#[test]
fn many_problems_are_cut_off_and_counted() {
    let steps = "  - nothing: x\n".repeat(700);
    let text = format!("channel: a\nformat: lines\nfrom: {{ reply: {{}} }}\nsteps:\n{steps}");
    let loaded = load_files(&[HILUM, ("channels/a.yaml", &text)]);
    assert_eq!(loaded.diagnostics.len(), hilum_config::DIAGNOSTICS_MAX + 1);
}

#[cfg(unix)]
#[test]
fn a_link_cannot_lead_out_of_the_folder() {
    let outside = folder(&[("codes.csv", "code,loinc\nK,1\n")]);
    let dir = folder(&[HILUM, EHR, LIS, RESULTS, ("tables/x.csv", "")]);
    std::os::unix::fs::symlink(
        outside.path().join("codes.csv"),
        dir.path().join("tables/loinc.csv"),
    )
    .unwrap();
    let loaded = load(dir.path(), &fake::registry(), &crate::options());
    assert!(
        loaded.diagnostics.iter().any(|d| d.code == "E0115"),
        "{}",
        render(&loaded.diagnostics)
    );
}
