//! The requirements of US Core as Inferno lists them: every search with its combinations,
//! comparators and lists, every include, every interaction, over the examples of US Core and
//! patients of Synthea. What is found is compared with what looking at every resource finds.

mod load;
mod naive;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::kit::{Server, encoded, shared};
use load::load;

/// What is required and not there, by name.
const UNMET: [&str; 1] = ["DocumentReference $docref"];

/// Searches that no resource of the test data has all values for, at most.
const WITHOUT_DATA_MAX: usize = 1;

struct Ward {
    server: Server,
    /// Every resource by type, as the server gives it.
    resources: BTreeMap<String, Vec<Value>>,
}

impl Ward {
    fn of(&self, ty: &str) -> &[Value] {
        self.resources.get(ty).map_or(&[], Vec::as_slice)
    }

    /// What looking at every resource finds.
    fn expected(&self, ty: &str, wants: &[Want]) -> BTreeSet<String> {
        let fits = |resource: &&Value| wants.iter().all(|want| want.holds(resource));
        let found = self.of(ty).iter().filter(fits);
        found.map(|resource| id(resource).to_owned()).collect()
    }
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}

/// A parameter with a value.
struct Want<'d> {
    name: &'d str,
    kind: &'d str,
    paths: Vec<&'d str>,
    value: String,
}

impl<'d> Want<'d> {
    /// A parameter with a value that a resource has.
    fn of(definitions: &'d Value, name: &'d str, resource: &Value) -> Option<Self> {
        let definition = &definitions[name];
        let listed = definition["paths"].as_array()?;
        let paths: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        let kind = definition["type"].as_str()?;
        let nodes: Vec<&Value> = paths
            .iter()
            .flat_map(|path| naive::at(resource, path))
            .collect();
        let value = nodes.iter().find_map(|node| match kind {
            "Period" | "date" | "dateTime" | "instant" => {
                let text = node.as_str().or_else(|| node["start"].as_str());
                text.map(str::to_owned)
            }
            kind => naive::values(kind, node).first().cloned(),
        })?;
        Some(Self {
            name,
            kind,
            paths,
            value,
        })
    }

    fn with(&self, value: String) -> Self {
        Self {
            name: self.name,
            kind: self.kind,
            paths: self.paths.clone(),
            value,
        }
    }

    fn is_date(&self) -> bool {
        matches!(self.kind, "Period" | "date" | "dateTime" | "instant")
    }

    fn holds(&self, resource: &Value) -> bool {
        let mut nodes = self.paths.iter().flat_map(|path| naive::at(resource, path));
        nodes.any(|node| {
            let each: Vec<&str> = self.value.split('\n').collect();
            each.iter()
                .any(|value| naive::matches(self.kind, node, value))
        })
    }

    /// As a part of a query; a list is kept apart by line ends.
    fn pair(&self) -> String {
        let escaped = |text: &str| {
            let text = text
                .replace('\\', "\\\\")
                .replace(',', "\\,")
                .replace('$', "\\$");
            // Of tokens the bar between system and code stays.
            if self.kind == "string" {
                text.replace('|', "\\|")
            } else {
                text
            }
        };
        let values: Vec<String> = self
            .value
            .split('\n')
            .map(|text| encoded(&escaped(text)))
            .collect();
        format!("{}={}", self.name, values.join(","))
    }
}

/// What went otherwise than it should.
#[derive(Default)]
struct Report {
    searches: usize,
    asked: BTreeSet<String>,
    without_data: BTreeSet<String>,
    wrong: Vec<String>,
    unmet: BTreeSet<String>,
}

#[tokio::test]
async fn the_requirements_of_us_core_hold() {
    let Some(shared) = shared() else {
        println!("not run: the_requirements_of_us_core_hold (no shared material)");
        return;
    };
    let Some(ward) = load(&shared).await else {
        println!("not run: the_requirements_of_us_core_hold (no bzip2 or no tar)");
        return;
    };
    let mut report = Report::default();
    let mut seen = BTreeSet::new();
    let mut types = BTreeSet::new();
    for version in ["6.1.0", "8.0.0"] {
        let file = shared.join(format!(
            "suites/inferno-metadata/us_core_v{version}_metadata.yml"
        ));
        let list = yaml::read(&std::fs::read_to_string(file).unwrap());
        for group in list["groups"].as_array().unwrap() {
            let ty = group["resource"].as_str().unwrap();
            types.insert(ty.to_owned());
            for search in group["searches"].as_array().into_iter().flatten() {
                let names: Vec<&str> = search["names"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                let key = format!("{ty} {names:?} {}", group["search_definitions"]);
                if seen.insert(key) {
                    search_for(&ward, ty, &group["search_definitions"], &names, &mut report).await;
                }
            }
            for include in group["include_params"].as_array().into_iter().flatten() {
                included(&ward, ty, include.as_str().unwrap(), &mut report).await;
            }
            for revinclude in group["revincludes"].as_array().into_iter().flatten() {
                let revinclude = revinclude.as_str().unwrap();
                if seen.insert(format!("{ty} {revinclude}")) {
                    referring(&ward, ty, revinclude, &mut report).await;
                }
            }
            for operation in group["operations"].as_array().into_iter().flatten() {
                let code = operation["code"].as_str().unwrap();
                let path = format!("/{ty}/${code}?patient=x");
                let answer = ward.server.get(&path).await;
                if answer.text().contains("there is no operation") {
                    report.unmet.insert(format!("{ty} ${code}"));
                }
            }
        }
    }
    for ty in &types {
        interactions(&ward, ty, &mut report).await;
    }
    println!(
        "{} searches; without data: {:?}",
        report.searches, report.without_data
    );
    assert!(
        report.wrong.is_empty(),
        "{} wrong:\n{}",
        report.wrong.len(),
        report.wrong[..report.wrong.len().min(40)].join("\n")
    );
    assert_eq!(report.unmet, UNMET.map(str::to_owned).into());
    assert!(report.searches > 300, "{}", report.searches);
    assert!(
        report.without_data.len() <= WITHOUT_DATA_MAX,
        "{:?}",
        report.without_data
    );
}

/// One search of the list, in the ways that it must work.
async fn search_for(
    ward: &Ward,
    ty: &str,
    definitions: &Value,
    names: &[&str],
    report: &mut Report,
) {
    let known = ward.of(ty).iter().find_map(|resource| {
        let wants: Option<Vec<Want>> = names
            .iter()
            .map(|name| Want::of(definitions, name, resource))
            .collect();
        wants
    });
    let Some(wants) = known else {
        report
            .without_data
            .insert(format!("{ty} {}", names.join("+")));
        return;
    };
    check(ward, ty, &wants, report).await;
    for (at, want) in wants.iter().enumerate() {
        let mut variants = Vec::new();
        if want.is_date() {
            let day: String = want.value.chars().take(10).collect();
            for comparator in ["gt", "lt", "ge", "le"] {
                variants.push(want.with(format!("{comparator}{}", want.value)));
                variants.push(want.with(format!("{comparator}{day}")));
            }
            variants.push(want.with(day));
        }
        let listed = definitions[want.name]["multiple_or"].as_str();
        if matches!(listed, Some("SHALL" | "SHOULD")) {
            let others = ward
                .of(ty)
                .iter()
                .filter_map(|resource| Want::of(definitions, want.name, resource));
            let other = others
                .map(|other| other.value)
                .find(|value| *value != want.value);
            variants.extend(other.map(|other| want.with(format!("{}\n{other}", want.value))));
        }
        for variant in variants {
            let mut wants: Vec<Want> = wants
                .iter()
                .map(|want| want.with(want.value.clone()))
                .collect();
            wants[at] = variant;
            check(ward, ty, &wants, report).await;
        }
    }
}

/// Asks by GET and by POST, and compares with what looking at every resource finds.
async fn check(ward: &Ward, ty: &str, wants: &[Want<'_>], report: &mut Report) {
    let pairs: Vec<String> = wants.iter().map(Want::pair).collect();
    let query = pairs.join("&");
    if !report.asked.insert(format!("{ty}?{query}")) {
        return;
    }
    report.searches += 1;
    let expected = ward.expected(ty, wants);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = format!("/{ty}?{query}&_count=1000&_elements=id");
    let answer = if report.searches.is_multiple_of(2) {
        let form_body = format!("{query}&_count=1000&_elements=id");
        ward.server
            .request("POST", &format!("/{ty}/_search"), &form, form_body)
            .await
    } else {
        ward.server.get(&path).await
    };
    if answer.text().contains("no search parameter") {
        let lacks = |want: &&Want<'_>| answer.text().contains(&format!("`{}`", want.name));
        let lacking = wants.iter().filter(lacks);
        report
            .unmet
            .extend(lacking.map(|want| format!("{ty} {}", want.name)));
        return;
    }
    if !answer.status.is_success() {
        report.wrong.push(format!("{path}: {}", answer.told()));
        return;
    }
    let found: BTreeSet<String> = answer
        .found()
        .iter()
        .map(|entry| entry.split_once('/').unwrap().1.to_owned())
        .collect();
    if found != expected {
        let lacking: Vec<_> = expected.difference(&found).take(3).collect();
        let beyond: Vec<_> = found.difference(&expected).take(3).collect();
        report.wrong.push(format!(
            "{path}: lacks {lacking:?}, has beyond {beyond:?} ({} of {})",
            found.len(),
            expected.len()
        ));
    }
}

/// `_include`: everything that matches refer to by the path of the parameter.
async fn included(ward: &Ward, ty: &str, include: &str, report: &mut Report) {
    let answer = ward
        .server
        .get(&format!("/{ty}?_include={include}&_count=1000"))
        .await;
    if !answer.status.is_success() {
        report
            .wrong
            .push(format!("{ty} _include={include}: {}", answer.told()));
        return;
    }
    let mut parts = include.split(':').skip(1);
    let (code, target) = (parts.next().unwrap(), parts.next());
    let path = match code {
        "participant" => "participant.member",
        other => other,
    };
    let mut expected = BTreeSet::new();
    for resource in ward.of(ty) {
        for node in naive::at(resource, path) {
            let Some(reference) = node["reference"].as_str() else {
                continue;
            };
            let Some((of, id)) = reference.split_once('/') else {
                continue;
            };
            let there = ward.of(of).iter().any(|known| self::id(known) == id);
            if there && target.is_none_or(|target| target == of) {
                expected.insert(format!("+{reference}"));
            }
        }
    }
    let found: BTreeSet<String> = answer
        .found()
        .into_iter()
        .filter(|entry| entry.starts_with('+'))
        .collect();
    if found != expected {
        report.wrong.push(format!(
            "{ty} _include={include}: {found:?}, not {expected:?}"
        ));
    }
}

/// `_revinclude=Provenance:target` for one resource.
async fn referring(ward: &Ward, ty: &str, revinclude: &str, report: &mut Report) {
    let target = |provenance: &Value| -> Vec<String> {
        let nodes = naive::at(provenance, "target");
        nodes
            .iter()
            .filter_map(|node| node["reference"].as_str().map(str::to_owned))
            .collect()
    };
    let of_type = |reference: &String| reference.starts_with(&format!("{ty}/"));
    let pointed = ward.of("Provenance").iter().flat_map(target).find(of_type);
    let name = pointed
        .clone()
        .unwrap_or_else(|| format!("{ty}/{}", ward.of(ty).first().map_or("none", id)));
    let path = format!(
        "/{ty}?_id={}&_revinclude={revinclude}",
        name.split_once('/').unwrap().1
    );
    let answer = ward.server.get(&path).await;
    if !answer.status.is_success() {
        report.wrong.push(format!("{path}: {}", answer.told()));
        return;
    }
    let expected: BTreeSet<String> = ward
        .of("Provenance")
        .iter()
        .filter(|provenance| target(provenance).contains(&name))
        .map(|provenance| format!("+Provenance/{}", id(provenance)))
        .collect();
    let found: BTreeSet<String> = answer
        .found()
        .into_iter()
        .filter(|entry| entry.starts_with('+'))
        .collect();
    if found != expected {
        report
            .wrong
            .push(format!("{path}: {found:?}, not {expected:?}"));
    }
}

/// Every interaction that is listed for a type, and every element of its resources.
async fn interactions(ward: &Ward, ty: &str, report: &mut Report) {
    let Some(resource) = ward.of(ty).first() else {
        report.without_data.insert(format!("{ty} (no resource)"));
        return;
    };
    let (server, path) = (&ward.server, format!("/{ty}/{}", id(resource)));
    let mut copy = resource.clone();
    copy.as_object_mut().unwrap().remove("id");
    let created = server.post(&format!("/{ty}"), &copy).await;
    let own = created.json()["id"].as_str().unwrap_or("none").to_owned();
    let own_path = format!("/{ty}/{own}");
    copy["id"] = json!(own);
    copy["language"] = json!("en");
    let patch = r#"[{"op":"replace","path":"/language","value":"de"}]"#;
    let json_patch = [("content-type", "application/json-patch+json")];
    for (what, answer, status) in [
        ("create", created, 201),
        ("read", server.get(&path).await, 200),
        (
            "vread",
            server.get(&format!("{path}/_history/1")).await,
            200,
        ),
        (
            "history-instance",
            server.get(&format!("{path}/_history")).await,
            200,
        ),
        (
            "history-type",
            server.get(&format!("/{ty}/_history?_count=2")).await,
            200,
        ),
        ("update", server.put(&own_path, &copy).await, 200),
        (
            "patch",
            server.request("PATCH", &own_path, &json_patch, patch).await,
            200,
        ),
        (
            "delete",
            server.request("DELETE", &own_path, &[], "").await,
            204,
        ),
        ("read what was deleted", server.get(&own_path).await, 410),
    ] {
        if answer.status.as_u16() != status {
            report.wrong.push(format!("{what} {ty}: {}", answer.told()));
        }
    }
}
