//! NDC, as the FDA releases it: `product.txt`, and `package.txt` with the codes of packages, which
//! are what messages carry.

use super::Imported;
use super::build::{Identity, say, version_of};
use super::error::ImportError;
use super::input::{Input, Member};
use super::lines::{Columns, Lines};
use crate::table::{At, Case, TableBuilder, ValueKind};

const URL: &str = "http://hl7.org/fhir/sid/ndc";
/// Columns of a product that become properties.
const PROPERTIES: [&str; 11] = [
    "PRODUCTTYPENAME",
    "DOSAGEFORMNAME",
    "ROUTENAME",
    "MARKETINGCATEGORYNAME",
    "APPLICATIONNUMBER",
    "LABELERNAME",
    "SUBSTANCENAME",
    "ACTIVE_NUMERATOR_STRENGTH",
    "ACTIVE_INGRED_UNIT",
    "DEASCHEDULE",
    "ENDMARKETINGDATE",
];

pub(super) fn read(input: &Input<'_>, version: Option<&str>) -> Result<Imported, ImportError> {
    let products = input.need("product.txt")?;
    let packages = input
        .find("package.txt")
        .filter(|found| found.name != products.name);
    input.expect([Some(&products), packages.as_ref()].into_iter().flatten());
    // The FDA renews its files each day and gives them no version.
    let version = version_of(version, input, |_| None)?;
    let mut table = input.parts.resumed(|| TableBuilder::new(Case::Sensitive));
    input.part(&mut table, "products", &products, |table| {
        read_products(input, &products, table)
    })?;
    if let Some(packages) = &packages {
        input.part(&mut table, "packages", packages, |table| {
            read_packages(input, packages, table)
        })?;
    }
    let identity = Identity {
        url: URL,
        version,
        name: "NDC",
        title: "National Drug Codes",
        language: Some("en"),
        properties: &[("NDC11", ValueKind::Code)],
    };
    Ok(identity.imported(table))
}

fn read_products(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
) -> Result<(), ImportError> {
    let needed = ["PRODUCTNDC", "PROPRIETARYNAME", "NONPROPRIETARYNAME"];
    rows(
        input,
        member,
        &needed,
        &PROPERTIES,
        |columns, row, wrong| {
            let code = columns.get(row, 0);
            if eleven(&format!("{code}-00")).is_none() {
                return Err(wrong(
                    "a code of labeler and product is expected in PRODUCTNDC",
                ));
            }
            let (brand, generic) = (columns.get(row, 1), columns.get(row, 2));
            let at = table.concept(code, Some(&named(brand, generic)), None)?;
            for (place, property) in PROPERTIES.iter().enumerate() {
                let value = columns.get(row, place + 3);
                say(table, at, property, ValueKind::String, value)?;
            }
            input.meter.concepts(table.len());
            Ok(())
        },
    )
}

fn read_packages(
    input: &Input<'_>,
    member: &Member,
    table: &mut TableBuilder,
) -> Result<(), ImportError> {
    let needed = ["PRODUCTNDC", "NDCPACKAGECODE", "PACKAGEDESCRIPTION"];
    rows(input, member, &needed, &[], |columns, row, wrong| {
        let code = columns.get(row, 1);
        let Some(billed) = eleven(code) else {
            return Err(wrong("a code of labeler, product and package is expected"));
        };
        let product = table.find(columns.get(row, 0));
        add_package(table, product, code, &billed, columns.get(row, 2))?;
        input.meter.concepts(table.len());
        Ok(())
    })
}

/// A package is known by its code with hyphens, and by the eleven digits that are billed.
fn add_package(
    table: &mut TableBuilder,
    product: Option<At>,
    code: &str,
    billed: &str,
    about: &str,
) -> Result<(), ImportError> {
    for (own, other, of) in [(code, billed, "NDC11"), (billed, code, "NDC10")] {
        let at = table.concept(own, Some(about), None)?;
        say(table, at, of, ValueKind::Code, other)?;
        if let Some(product) = product {
            table.place(at, product);
        }
    }
    Ok(())
}

fn named(brand: &str, generic: &str) -> String {
    match (brand, generic) {
        (brand, "") => brand.to_owned(),
        ("", generic) => generic.to_owned(),
        (brand, generic) if brand.eq_ignore_ascii_case(generic) => brand.to_owned(),
        (brand, generic) => format!("{brand} ({generic})"),
    }
}

/// Eleven digits of a code with hyphens: five for the labeler, four for the product, two for the
/// package (45 CFR 162.1002).
fn eleven(code: &str) -> Option<String> {
    let parts: Vec<&str> = code.split('-').collect();
    let [labeler, product, package] = *parts else {
        return None;
    };
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let fits = digits(labeler, 5) && digits(product, 4) && digits(package, 2);
    fits.then(|| format!("{labeler:0>5}{product:0>4}{package:0>2}"))
}

type Wrong<'w> = &'w dyn Fn(&str) -> ImportError;

fn rows(
    input: &Input<'_>,
    member: &Member,
    needed: &[&str],
    optional: &[&str],
    mut each: impl FnMut(&Columns, &[&str], Wrong<'_>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut lines = Lines::open(input, member)?;
    let mut columns: Option<Columns> = None;
    loop {
        let number = lines.number() + 1;
        let Some(text) = lines.next()? else {
            return Ok(());
        };
        let row: Vec<&str> = text.split('\t').collect();
        let wrong = |text: &str| ImportError::line(member.file_name(), number, text);
        match &columns {
            None => columns = Some(Columns::of(&row, member.file_name(), needed, optional)?),
            Some(known) if known.fit(row.len()) => each(known, &row, &wrong)?,
            Some(_) => return Err(wrong("columns are missing")),
        }
    }
}
