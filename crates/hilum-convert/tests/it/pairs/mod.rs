//! The pairs of others: what they make of a v2 message beside what hilum makes of it.
//!
//! Every field that differs is explained by a row of `explained.txt` or fails the test. The score is
//! a page of the tree, `docs/scores/conversion.md`. With `HILUM_SCORES=write` this test writes it
//! (`cargo xtask scores`), otherwise it compares. `HILUM_PAIR` names a pair whose Bundle and differences
//! are printed; with `all` the differences of every pair are. With `HILUM_DUMP=FOLDER` it leaves there
//! both bundles of each pair and `differences.tsv`: set, pair, kind, path, theirs, ours, whose.

mod compare;
mod explained;
mod matching;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kit::{bundle_of, read_as_json, shared};
use compare::{Outcome, RULES, compare};
use explained::{Explanations, Whose};
use serde_json::Value;

const SCORES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/scores/conversion.md"
);

/// One message with what somebody else makes of it.
struct Pair {
    set: &'static str,
    name: String,
    message: PathBuf,
    bundle: PathBuf,
}

/// Name in the page and its rows, folder, and who made it.
const SETS: [(&str, &str, &str); 3] = [
    (
        "reportstream",
        "hl7v2/reportstream-mappinginventory",
        "ReportStream, one message for each map of the guide",
    ),
    (
        "whistle",
        "hl7v2/google-whistle",
        "Google's Whistle mappings, whole messages",
    ),
    (
        "guide",
        "hl7v2/hl7-v2-to-fhir-ig",
        "the guide's own MDM_T02",
    ),
];

fn pairs(samples: &Path) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let [reportstream, whistle, guide] = SETS;
    let root = samples.join(reportstream.1);
    for message in below(&root) {
        let bundle = message.with_extension("fhir");
        if message.extension().is_some_and(|e| e == "hl7") && bundle.exists() {
            let name = message
                .strip_prefix(&root)
                .unwrap_or(&message)
                .with_extension("");
            let name = name.to_string_lossy().into_owned();
            pairs.push(Pair {
                set: reportstream.0,
                name,
                message,
                bundle,
            });
        }
    }
    for message in sorted(&samples.join(whistle.1)) {
        let bundle = message.with_extension("hl7.fhir.output.json");
        if message.extension().is_some_and(|e| e == "hl7") && bundle.exists() {
            pairs.push(Pair {
                set: whistle.0,
                name: stem(&message),
                message,
                bundle,
            });
        }
    }
    let folder = samples.join(guide.1);
    pairs.push(Pair {
        set: guide.0,
        name: "MDM_T02".to_owned(),
        message: folder.join("messages/Message.hl7_MDM_T02.txt"),
        bundle: folder.join("fhir-bundles/FHIR_bundle.hl7_MDM_T02.xml"),
    });
    pairs
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths
}

/// The files of a folder and of those in it.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) =
        sorted(folder).into_iter().partition(|path| path.is_dir());
    files.extend(folders.iter().flat_map(|folder| below(folder)));
    files
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What one set came to.
#[derive(Default)]
struct Sum {
    pairs: usize,
    /// Fields of theirs.
    theirs: usize,
    equal: usize,
    by: BTreeMap<Whose, usize>,
    beyond: usize,
    unexplained: usize,
}

#[test]
fn conversion_suite() {
    let Some(samples) = shared("samples", "conversion_suite") else {
        return;
    };
    let mut explanations = Explanations::read();
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut unexplained: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for pair in pairs(&samples) {
        let theirs = read_as_json(&pair.bundle);
        let ours = bundle_of(&fs::read(&pair.message).unwrap());
        let outcome = compare(&theirs, &ours);
        if std::env::var("HILUM_PAIR").is_ok_and(|name| name == pair.name) {
            println!("{ours:#}");
            outcome
                .differences
                .iter()
                .for_each(|one| println!("{one:?}"));
        }
        if std::env::var("HILUM_PAIR").is_ok_and(|name| name == "all") {
            for one in &outcome.differences {
                let kind = one.kind.name();
                let (theirs, ours) = (clip(&one.theirs), clip(&one.ours));
                println!("{}\t{kind}\t{}\t{theirs}\t{ours}", pair.name, one.path);
            }
        }
        dump(&pair, &theirs, &ours, &outcome, &mut explanations);
        let sum = sums.entry(pair.set).or_default();
        count(&pair, &outcome, sum, &mut explanations, &mut unexplained);
    }
    if !unexplained.is_empty() {
        let mut most: Vec<_> = unexplained.iter().collect();
        most.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (what, (count, example)) in most.iter().take(shown_max()) {
            println!("{count:6}  {what}   {example}");
        }
    }
    for (set, sum) in &sums {
        println!(
            "{set}: {} equal, {} without a reason",
            sum.equal, sum.unexplained
        );
    }
    let page = page(&sums, &explanations);
    if std::env::var_os("HILUM_SCORES").is_some_and(|value| value == "write") {
        fs::write(SCORES, page).unwrap();
    } else {
        let recorded = fs::read_to_string(SCORES).unwrap_or_default();
        assert!(recorded == page, "stale; run `cargo xtask scores`");
    }
    assert!(
        unexplained.is_empty(),
        "{} fields differ without a reason",
        unexplained.len()
    );
    let unused = explanations.unused();
    assert!(
        unused.is_empty(),
        "explained.txt has rows that explain nothing: {unused:?}"
    );
    let (new, gone) = explanations.unlisted();
    assert!(
        new.is_empty() && gone.is_empty(),
        "extra.txt lacks what only we give:\n{}\nand has what is no more:\n{}",
        new.join("\n"),
        gone.join("\n")
    );
}

/// Leaves a pair in the folder that `HILUM_DUMP` names.
fn dump(
    pair: &Pair,
    theirs: &Value,
    ours: &Value,
    outcome: &Outcome,
    explanations: &mut Explanations,
) {
    let Some(folder) = std::env::var_os("HILUM_DUMP").map(PathBuf::from) else {
        return;
    };
    let name = format!("{}_{}", pair.set, pair.name.replace('/', "_"));
    fs::copy(&pair.message, folder.join(format!("{name}.hl7"))).unwrap();
    for (end, bundle) in [("theirs", theirs), ("ours", ours)] {
        let path = folder.join(format!("{name}.{end}.json"));
        fs::write(path, format!("{bundle:#}")).unwrap();
    }
    let mut lines = String::new();
    for one in &outcome.differences {
        let whose = explanations.of(pair.set, &pair.name, one);
        let (theirs, ours) = (clean(&one.theirs), clean(&one.ours));
        let (set, name, kind, path) = (pair.set, &pair.name, one.kind.name(), &one.path);
        lines += &format!("{set}\t{name}\t{kind}\t{path}\t{theirs}\t{ours}\t{whose:?}\n");
    }
    let path = folder.join("differences.tsv");
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + &lines).unwrap();
}

fn clean(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

/// How many unexplained kinds of differences are printed; `HILUM_SHOW=100000` prints all.
fn shown_max() -> usize {
    let asked = std::env::var("HILUM_SHOW").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn count(
    pair: &Pair,
    outcome: &Outcome,
    sum: &mut Sum,
    explanations: &mut Explanations,
    unexplained: &mut BTreeMap<String, (usize, String)>,
) {
    sum.pairs += 1;
    sum.equal += outcome.equal;
    let extra = |one: &&compare::Difference| one.kind == compare::Kind::Extra;
    let beyond = outcome.differences.iter().filter(extra).count();
    sum.theirs += outcome.equal + outcome.differences.len() - beyond;
    for one in &outcome.differences {
        match explanations.of(pair.set, &pair.name, one) {
            Some(whose) if one.kind == compare::Kind::Extra => {
                sum.beyond += 1;
                *sum.by.entry(whose).or_default() += usize::from(whose == Whose::Defect);
            }
            Some(whose) => *sum.by.entry(whose).or_default() += 1,
            None => {
                sum.unexplained += 1;
                let what = format!("{}  {}  {}", pair.set, one.kind.name(), one.path);
                let example = format!("{}: {} | {}", pair.name, clip(&one.theirs), clip(&one.ours));
                unexplained.entry(what).or_insert((0, example)).0 += 1;
            }
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(70).collect()
}

fn page(sums: &BTreeMap<&str, Sum>, explanations: &Explanations) -> String {
    let mut page = String::from(
        "# HL7 v2 to FHIR beside other converters\n\n\
         Written by `cargo xtask scores`. Each message of a set is converted by hilum and compared, field \
         by field, with the bundle that its makers expect. Every difference is explained: their choice, \
         our choice, or a defect of ours that is not mended yet. Fields that only hilum gives are \
         counted apart.\n\n\
         | Set | Pairs | Their fields | Equal | Their choice | Our choice | Defects | Only ours |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (name, _, about) in SETS {
        let Some(sum) = sums.get(name) else { continue };
        let by = |whose| sum.by.get(&whose).copied().unwrap_or(0);
        let (theirs, ours, defects) = (by(Whose::Theirs), by(Whose::Ours), by(Whose::Defect));
        let all = sum.theirs;
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = 100.0 * sum.equal as f64 / all.max(1) as f64;
        page.push_str(&format!(
            "| {about} | {} | {all} | {} ({share:.1} %) | {theirs} | {ours} | {defects} | {} |\n",
            sum.pairs, sum.equal, sum.beyond
        ));
    }
    page.push_str("\n## What is not a difference\n\n");
    for rule in RULES {
        page.push_str(&format!("- {rule}\n"));
    }
    page.push_str("\n## The differences\n\n");
    explanations.write(&mut page);
    page
}
