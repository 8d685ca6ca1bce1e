//! The FHIR server of a node, checked.

use std::collections::BTreeMap;

use hilum_component::{Millis, Size};

use super::Options;
use super::database::{DatabaseUrl, WrongUrl};
use super::gather::Gathered;
use crate::check::parse_address;
use crate::diagnostic::{Draft, Report, did_you_mean};
use crate::file::{
    DatabaseFile, FhirFile, InteractionFile, SubscriptionsFile, TestResultFile, TopicFile,
    TriggerFile, ValidateFile,
};
use crate::site::Folder;
use crate::yaml::Node;

/// Shortest lease of the node that sends notifications; it is kept by asking four times in it.
const LEASE_MIN: Millis = Millis(1_000);
/// Characters of the name of a schema (PostgreSQL's `NAMEDATALEN`).
const SCHEMA_CHARS_MAX: usize = 63;

/// How strictly resources are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// Not at all.
    Off,
    /// They are stored, and the client may learn what is wrong.
    Warn,
    /// What is wrong is refused.
    #[default]
    Enforce,
}

/// The store of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FhirTenant {
    /// How strictly resources are checked.
    pub validate: Validate,
    /// The same for single types.
    pub validate_types: BTreeMap<String, Validate>,
    /// Packages, by their paths from the site's folder.
    pub packages: Vec<String>,
    /// Profiles that every resource of a type has to conform to.
    pub profiles: BTreeMap<String, Vec<String>>,
}

/// The PostgreSQL database that keeps the stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirDatabase {
    /// Host and port.
    pub address: String,
    /// The user.
    pub user: String,
    /// The reference to the user's password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
    /// The schema of the first store.
    pub schema: String,
    /// TLS, if it is to be used.
    pub tls: Option<FhirDatabaseTls>,
}

/// TLS of a database; paths from the folder of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FhirDatabaseTls {
    /// Authorities, if not those of the operating system.
    pub ca: Option<String>,
    /// Our certificate and its key.
    pub identity: Option<(String, String)>,
    /// The name in the certificate, if not the host.
    pub server_name: Option<String>,
}

impl FhirDatabase {
    /// The schema of a tenant.
    #[must_use]
    pub fn schema_of(&self, tenant: &str) -> String {
        format!("{}_{}", self.schema, tenant.replace(['-', '.'], "_"))
    }

    fn of(file: &DatabaseFile) -> Result<Self, WrongUrl> {
        let url = DatabaseUrl::read(&file.url)?;
        let tls = file.tls.as_ref().map(|tls| FhirDatabaseTls {
            ca: tls.ca.clone(),
            identity: tls.certificate.clone().zip(tls.key.clone()),
            server_name: tls.server_name.clone(),
        });
        Ok(Self {
            address: url.address,
            user: url.user,
            password: file.password.as_ref().map(|secret| secret.0.clone()),
            database: url.database,
            schema: file.schema.clone(),
            tls,
        })
    }
}

/// The FHIR server that a site asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirPlan {
    /// Where it listens.
    pub listen: String,
    /// Scheme and host under which clients reach it, if not by that address.
    pub url: Option<String>,
    /// The first store.
    pub first: FhirTenant,
    /// Stores with names.
    pub tenants: BTreeMap<String, FhirTenant>,
    /// The database that keeps the stores, if they are not in files.
    pub database: Option<FhirDatabase>,
    /// Origins of web pages that may call.
    pub origins: Vec<String>,
    /// The folder below which files may be imported.
    pub import_folder: Option<String>,
    /// Beginnings of URLs that files may be imported from.
    pub import_from: Vec<String>,
    /// The certificates that these are trusted by.
    pub import_ca: Option<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a request's body.
    pub body_max: Size,
    /// Resources of a page.
    pub page_max: usize,
    /// What clients may subscribe to.
    pub subscriptions: FhirSubscriptions,
}

/// What clients may subscribe to, and where they may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirSubscriptions {
    /// Beginnings of URLs that may be called beside loopback.
    pub allow: Vec<String>,
    /// Failures in a row that put a subscription in error.
    pub failures_max: u32,
    /// First delay of a retry.
    pub retry_first: Millis,
    /// Longest delay of a retry.
    pub retry_longest: Millis,
    /// When a notification becomes a dead letter.
    pub give_up_after: Millis,
    /// How long events are kept.
    pub keep: Millis,
    /// How many events are kept.
    pub keep_max: u64,
    /// How long the node that delivers may be silent.
    pub lease: Millis,
    /// What there is beside searches.
    pub topics: Vec<FhirTopic>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirTopic {
    /// Its canonical URL.
    pub url: String,
    /// What makes an event.
    pub triggers: Vec<FhirTrigger>,
    /// What it may be narrowed by.
    pub filters: Vec<String>,
}

/// What makes an event of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirTrigger {
    /// The type of the resource.
    pub resource: String,
    /// Whether creates, updates and deletes make one.
    pub on: [bool; 3],
    /// A search on the resource as it was.
    pub previous: Option<String>,
    /// A create passes it.
    pub create_passes: bool,
    /// A search on the resource as it will be.
    pub current: Option<String>,
    /// A delete passes it.
    pub delete_passes: bool,
    /// Both must match.
    pub require_both: bool,
    /// An expression over both.
    pub fhirpath: Option<String>,
}

impl FhirSubscriptions {
    fn of(file: &SubscriptionsFile) -> Self {
        let trigger = |trigger: &TriggerFile| {
            let on = |what| trigger.on.is_empty() || trigger.on.contains(&what);
            FhirTrigger {
                resource: trigger.resource.clone(),
                on: [
                    on(InteractionFile::Create),
                    on(InteractionFile::Update),
                    on(InteractionFile::Delete),
                ],
                previous: trigger.previous.clone(),
                create_passes: trigger.result_for_create == TestResultFile::TestPasses,
                current: trigger.current.clone(),
                delete_passes: trigger.result_for_delete == TestResultFile::TestPasses,
                require_both: trigger.require_both,
                fhirpath: trigger.fhirpath.clone(),
            }
        };
        let topic = |topic: &TopicFile| FhirTopic {
            url: topic.url.clone(),
            triggers: topic.triggers.iter().map(trigger).collect(),
            filters: topic.filters.clone(),
        };
        Self {
            allow: file.allow.clone(),
            failures_max: file.failures_max,
            retry_first: file.retry_first,
            retry_longest: file.retry_longest,
            give_up_after: file.give_up_after,
            keep: file.keep,
            keep_max: file.keep_max,
            lease: file.lease,
            topics: file.topics.iter().map(topic).collect(),
        }
    }
}

impl FhirPlan {
    fn of(file: &FhirFile) -> Self {
        let first = FhirTenant {
            validate: validate(file.validate),
            validate_types: by_type(&file.validate_types),
            packages: file.packages.clone(),
            profiles: file.profiles.clone(),
        };
        let tenants = file.tenants.iter().map(|(name, tenant)| {
            let mut types = first.validate_types.clone();
            types.extend(by_type(&tenant.validate_types));
            let own = FhirTenant {
                validate: tenant.validate.map_or(first.validate, validate),
                validate_types: types,
                packages: [first.packages.as_slice(), &tenant.packages].concat(),
                profiles: {
                    let mut profiles = first.profiles.clone();
                    profiles.extend(tenant.profiles.clone());
                    profiles
                },
            };
            (name.0.clone(), own)
        });
        Self {
            listen: file.listen.0.clone(),
            url: file
                .url
                .as_ref()
                .map(|url| url.trim_end_matches('/').to_owned()),
            tenants: tenants.collect(),
            first,
            database: file
                .database
                .as_ref()
                .and_then(|own| FhirDatabase::of(own).ok()),
            origins: file.origins.clone(),
            import_folder: file.import_folder.clone(),
            import_from: file.import_from.clone(),
            import_ca: file.import_ca.clone(),
            connections_max: file.connections_max as usize,
            body_max: file.body_max,
            page_max: file.page_max as usize,
            subscriptions: FhirSubscriptions::of(&file.subscriptions),
        }
    }
}

const fn validate(file: ValidateFile) -> Validate {
    match file {
        ValidateFile::Off => Validate::Off,
        ValidateFile::Warn => Validate::Warn,
        ValidateFile::Enforce => Validate::Enforce,
    }
}

fn by_type(types: &BTreeMap<String, ValidateFile>) -> BTreeMap<String, Validate> {
    types
        .iter()
        .map(|(name, file)| (name.clone(), validate(*file)))
        .collect()
}

/// The section, if there is one; what is wrong with it is reported.
pub(super) fn plan(
    gathered: &Gathered,
    folder: &Folder,
    options: &Options,
    report: &mut Report,
) -> Option<FhirPlan> {
    let file = gathered.node.as_ref()?.fhir.as_ref()?;
    let tree = gathered.node_tree.as_ref()?;
    let section = tree.get("fhir")?;
    let listen = section.get("listen").unwrap_or(section);
    super::channel::loopback(
        "the FHIR server",
        &file.listen.0,
        "127.0.0.1:26680",
        listen,
        report,
    );
    if let Some(url) = &file.url {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let plain = rest.is_some_and(|rest| {
            let host = rest.trim_end_matches('/');
            let with_port =
                parse_address(host).is_some() || parse_address(&format!("{host}:1")).is_some();
            with_port && !host.contains('/')
        });
        if !plain {
            wrong(
                section.get("url"),
                section,
                "the URL is no scheme and host",
                "write `https://HOST` without a path",
                report,
            );
        }
    }
    for origin in section.get("origins").map(Node::items).unwrap_or_default() {
        let text = origin.text().unwrap_or_default();
        if !text.contains("://") || text.ends_with('/') {
            let remedy = "write scheme and host as browsers send them: https://app.example";
            wrong(
                Some(origin),
                section,
                "the origin is no scheme and host",
                remedy,
                report,
            );
        }
    }
    urls(section, report);
    if let Some(database) = &file.database {
        check_database(database, file, section, report);
    }
    let tenants = section
        .get("tenants")
        .map(Node::entries)
        .unwrap_or_default();
    for place in std::iter::once(section).chain(tenants.iter().map(|(_, tenant)| tenant)) {
        resource_types(place, &options.resource_types, report);
    }
    numbers(file, section, report);
    let plan = FhirPlan::of(file);
    super::packages::packages(section, None, &plan.first, folder, options, report);
    for (key, place) in tenants {
        if let Some(tenant) = plan.tenants.get(&key.text) {
            let own = Some((place, plan.first.packages.len()));
            super::packages::packages(section, own, tenant, folder, options, report);
        }
    }
    Some(plan)
}

/// Numbers that are too small.
fn numbers(file: &FhirFile, section: &Node, report: &mut Report) {
    if file.page_max == 0 || file.connections_max == 0 {
        let at = section
            .get("page-max")
            .or_else(|| section.get("connections-max"));
        wrong(at, section, "the number is 0", "write at least 1", report);
    }
    if file.subscriptions.lease < LEASE_MIN {
        let own = section.get("subscriptions");
        let at = own.and_then(|own| own.get("lease"));
        wrong(
            at,
            section,
            "the lease is too short",
            "write at least 1s",
            report,
        );
    }
}

/// What may be called is scheme, host and the beginning of a path.
fn urls(section: &Node, report: &mut Report) {
    let allowed = section.get("subscriptions").and_then(|of| of.get("allow"));
    for url in [allowed, section.get("import-from")]
        .into_iter()
        .flatten()
        .flat_map(Node::items)
    {
        let text = url.text().unwrap_or_default();
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        if host.is_none_or(|host| host.is_empty() || host.contains(['@', '*'])) {
            wrong(
                Some(url),
                section,
                "this is not the beginning of a URL",
                "write scheme, host and path: https://app.example/hooks/",
                report,
            );
        }
    }
}

/// The address and the schemas of a database.
fn check_database(database: &DatabaseFile, file: &FhirFile, section: &Node, report: &mut Report) {
    let place = section.get("database").unwrap_or(section);
    let plan = match FhirDatabase::of(database) {
        Ok(plan) => plan,
        Err(mistake) => {
            let span = place.get("url").map_or(place.span, |url| url.span);
            return report.push(mistake.draft(span));
        }
    };
    let begins = |c: char| c.is_ascii_lowercase() || c == '_';
    let good = |c: char| begins(c) || c.is_ascii_digit();
    let usable = plan.schema.starts_with(begins) && plan.schema.chars().all(good);
    let mut schemas: Vec<String> = file
        .tenants
        .keys()
        .map(|name| plan.schema_of(&name.0))
        .collect();
    let longest = schemas.iter().map(String::len).max().unwrap_or(0);
    let at = place.get("schema");
    if !usable || longest.max(plan.schema.len()) > SCHEMA_CHARS_MAX {
        let remedy = "write small letters, digits and _; with the name of a tenant 63 at most";
        wrong(at, place, "not a name of schemas", remedy, report);
    }
    schemas.sort_unstable();
    if schemas
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
    {
        let remedy = "name them so that they differ in more than `-` and `.`";
        wrong(
            at,
            place,
            "two tenants would have one schema",
            remedy,
            report,
        );
    }
    let tls = database.tls.as_ref();
    if tls.is_some_and(|tls| tls.certificate.is_some() != tls.key.is_some()) {
        let remedy = "set both, or none of them";
        let text = "`certificate` and `key` belong together";
        wrong(place.get("tls"), place, text, remedy, report);
    }
}

/// Types of resources that there are not.
fn resource_types(place: &Node, known: &[&str], report: &mut Report) {
    let named = ["validate-types", "profiles"].map(|list| place.get(list).map(Node::entries));
    for (key, _) in named.into_iter().flatten().flatten() {
        if known.is_empty() || known.contains(&key.text.as_str()) {
            continue;
        }
        let text = format!("there is no resource of the type `{}`", key.text);
        let remedy = did_you_mean(&key.text, "types", known.iter().copied());
        let remedy = remedy.unwrap_or_else(|| "write it as FHIR R4 does: Patient".to_owned());
        report.push(Draft::error("E0104", key.span, text).remedy(remedy));
    }
}

fn wrong(at: Option<&Node>, section: &Node, text: &str, remedy: &str, report: &mut Report) {
    let span = at.map_or(section.span, |node| node.span);
    report.push(Draft::error("E0103", span, text).remedy(remedy));
}
