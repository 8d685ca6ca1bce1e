//! The suite of the reference validator: error or no error, as it says.
//!
//! The score is a file in the tree, `docs/scores/fhir-validator.md`. With `HILUM_SCORES=write` this
//! test writes it (`cargo xtask scores`), otherwise it compares.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use hilum_fhir::profile::ProfilesBuilder;
use hilum_fhir::validate::{LoadedCodes, Request, Resolver, Target, Validator};
use hilum_fhir::{Limits, Problem, Problems, Resource, Severity, json, xml};
use hilum_fhirpath::Moment;
use serde_json::Value;

use crate::shared::shared;

const SCORES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/scores/fhir-validator.md"
);

/// Modules that ask for terminology servers, packages or other formats.
const LEFT_OUT: &[&str] = &[
    "tx",
    "tx-advanced",
    "cda",
    "shc",
    "xver",
    "package-versioning",
    "dsig",
];

/// Of a hundred cases, how many have to agree.
const AGREEMENT_MIN: usize = 95;

/// A validation with what the reference and hilum found.
struct Case {
    name: String,
    expected: usize,
    found: usize,
}

impl Case {
    fn agrees(&self) -> bool {
        (self.expected == 0) == (self.found == 0)
    }
}

#[test]
fn resources_have_errors_where_the_reference_finds_some() {
    let Some(suite) = shared("suites/fhir-validator", "validator suite") else {
        return;
    };
    let manifest = fs::read_to_string(suite.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let validator = Validator::new();
    let (mut plain, mut profiled) = (Vec::new(), Vec::new());
    for case in manifest["test-cases"].as_array().unwrap() {
        let module = case["module"].as_str().unwrap_or_default();
        if LEFT_OUT.contains(&module) || !case["packages"].is_null() || !case["fetcher"].is_null() {
            continue;
        }
        plain.extend(run(&validator, &suite, case, None));
        if !case["profile"].is_null() {
            profiled.extend(run(&validator, &suite, case, Some(&case["profile"])));
        }
    }
    let agreed = plain.iter().filter(|case| case.agrees()).count();
    assert!(
        agreed * 100 >= plain.len() * AGREEMENT_MIN,
        "{agreed} of {} agree",
        plain.len()
    );
    let scores = scores(&plain, &profiled);
    if std::env::var_os("HILUM_SCORES").is_some_and(|value| value == "write") {
        fs::create_dir_all(Path::new(SCORES).parent().unwrap()).unwrap();
        fs::write(SCORES, scores).unwrap();
    } else {
        let recorded = fs::read_to_string(SCORES).unwrap_or_default();
        assert!(recorded == scores, "stale; run `cargo xtask scores`");
    }
}

/// Runs a case as it is, or with the profile that it names besides.
fn run(validator: &Validator, suite: &Path, case: &Value, with: Option<&Value>) -> Option<Case> {
    let expected = expected(suite, &with.unwrap_or(case)["java"])?;
    let mut world = World::default();
    let mut profiles = ProfilesBuilder::new();
    for place in [Some(case), with].into_iter().flatten() {
        for list in ["supporting", "supporting5", "profiles"] {
            for file in place[list].as_array().into_iter().flatten() {
                world.add(&mut profiles, parse(&suite.join(file.as_str().unwrap())));
            }
        }
    }
    let mut asked = Vec::new();
    if let Some(source) = with.and_then(|with| with["source"].as_str()) {
        let profile = parse(&suite.join(source));
        let url = profile
            .as_ref()
            .ok()
            .and_then(|p| p.root().child_text("url"));
        asked.extend(url.map(str::to_owned));
        world.add(&mut profiles, profile);
    }
    // A profile for one type inside of a Bundle is what a guide asks of all of them.
    if let Some(rule) = case["bundle-param"]["rule"].as_str() {
        let guide = format!(
            r#"{{"resourceType":"ImplementationGuide","global":[{{"type":"{}","profile":"{}"}}]}}"#,
            rule.split(':').next()?,
            case["bundle-param"]["profile"].as_str()?
        );
        world.add(
            &mut profiles,
            json::parse(guide.as_bytes(), &Limits::default()),
        );
    }
    world.exists = case["validateReference"] == "CHECK_EXISTS_AND_TYPE";
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let flagged = |name: &str| case[name] == Value::Bool(true);
    let told = flagged("security-checks") || flagged("noHtmlInMarkdown");
    let request = Request {
        profiles: &profiles.build(),
        resolver: &world,
        terminology: &world.codes,
        asked: &asked,
        unknown_extension: Severity::Error,
        wrong_display: Severity::Error,
        value_set_as_system: Severity::Error,
        markup_in_text: told.then_some(Severity::Error),
        example_urls: (case["examples"] == Value::Bool(false)).then_some(Severity::Error),
        ..Request::new(Moment::from_unix_millis(1_790_000_000_000, 0))
    };
    let file = case["file"].as_str()?;
    let problems = match parse(&suite.join(file)) {
        Ok(resource) => validator.validate(&resource, &request),
        Err(problems) => problems.0,
    };
    let errors: Vec<&Problem> = problems.iter().filter(|p| p.is_error()).collect();
    let case = Case {
        name: case["name"].as_str()?.to_owned(),
        expected,
        found: errors.len(),
    };
    if std::env::var_os("HILUM_SHOW").is_some() && case.expected != case.found {
        let kind = if with.is_some() { "profile" } else { "base" };
        println!("## {} ({file}, {kind}): expected {expected}", case.name);
        for error in errors.iter().take(15) {
            println!("      {error}");
        }
    }
    Some(case)
}

/// How many errors the reference found.
fn expected(suite: &Path, java: &Value) -> Option<usize> {
    let outcome = fs::read_to_string(suite.join("outcomes").join(java.as_str()?)).ok()?;
    let outcome: Value = serde_json::from_str(&outcome).ok()?;
    // Without any finding there is no `issue`.
    let issues = outcome["issue"].as_array().into_iter().flatten();
    let severe = |issue: &&Value| matches!(issue["severity"].as_str(), Some("error" | "fatal"));
    Some(issues.filter(severe).count())
}

/// What a case brings along.
#[derive(Default)]
struct World {
    codes: LoadedCodes,
    resources: HashMap<String, Arc<Resource>>,
    /// References have to lead somewhere, and nothing is there.
    exists: bool,
}

impl World {
    fn add(&mut self, profiles: &mut ProfilesBuilder, resource: Result<Resource, Problems>) {
        let Ok(resource) = resource else { return };
        if let Some(url) = resource.root().child_text("url") {
            self.resources
                .insert(url.to_owned(), Arc::new(resource.clone()));
        }
        self.codes.add(resource.clone());
        profiles.add(resource);
    }
}

impl Resolver for World {
    fn target(&self, reference: &str) -> Target {
        // What is not a server is not asked.
        if self.exists && !reference.starts_with("http") {
            Target::Missing
        } else {
            Target::Unknown
        }
    }

    fn canonical(&self, url: &str) -> Option<Arc<Resource>> {
        let url = url.split('|').next()?;
        self.resources.get(url).cloned()
    }
}

/// Reads a file; some that the manifest names are not in the suite, and read as nothing.
fn parse(path: &Path) -> Result<Resource, Problems> {
    let bytes = fs::read(path).unwrap_or_default();
    match path.extension().and_then(|e| e.to_str()) {
        Some("xml") => xml::parse(&bytes, &Limits::default()),
        _ => json::parse(&bytes, &Limits::default()),
    }
}

/// The page of scores: names and counts, nothing of the suite's content.
fn scores(plain: &[Case], profiled: &[Case]) -> String {
    let mut page = String::from(
        "# The FHIR validator suite\n\n\
         Written by `cargo xtask scores`. The cases of the reference validator that need no package \
         and no terminology server and have an outcome; they agree where both find errors or both \
         find none.\n",
    );
    for (title, cases) in [
        ("Against the standard", plain),
        ("Against the profile that the case names", profiled),
    ] {
        let agreed = cases.iter().filter(|case| case.agrees()).count();
        let same = cases
            .iter()
            .filter(|case| case.expected == case.found)
            .count();
        let total = cases.len();
        write!(
            page,
            "\n## {title}\n\n{agreed} of {total} agree ({}.{} %), {same} of them with the same number \
             of errors.\n",
            agreed * 1000 / total / 10,
            agreed * 1000 / total % 10,
        )
        .unwrap();
        for (title, agrees) in [("Disagreements", false), ("Other numbers of errors", true)] {
            let chosen: Vec<&Case> = cases
                .iter()
                .filter(|case| case.agrees() == agrees && case.expected != case.found)
                .collect();
            write!(
                page,
                "\n### {title}\n\n| Case | Reference | hilum |\n|---|---|---|\n"
            )
            .unwrap();
            for case in chosen {
                writeln!(
                    page,
                    "| {} | {} | {} |",
                    case.name, case.expected, case.found
                )
                .unwrap();
            }
        }
    }
    page
}
