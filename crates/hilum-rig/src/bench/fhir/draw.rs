//! Parameters drawn from the data that was imported, so that every search finds something real.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::client::Fhir;

/// Ids that are drawn from at most.
const IDS_MAX: usize = 2_000;

/// Values that occur, in the order in which they were found.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub(super) patients: Vec<String>,
    encounters: Vec<String>,
    observations: Vec<String>,
    identifiers: Vec<String>,
    families: Vec<String>,
    births: Vec<String>,
    cities: Vec<String>,
    observation_codes: Vec<String>,
    condition_codes: Vec<String>,
    drug_codes: Vec<String>,
    vaccine_codes: Vec<String>,
    practitioners: Vec<String>,
    days: Vec<String>,
}

impl Drawn {
    /// From the resources of the first round, and from what the server says that it has.
    pub(super) async fn from(sample: &[Value], fhir: &mut Fhir) -> Result<Self> {
        let mut drawn = Self {
            patients: ids(fhir, "Patient").await?,
            encounters: ids(fhir, "Encounter").await?,
            observations: ids(fhir, "Observation").await?,
            ..Self::default()
        };
        for resource in sample {
            drawn.take(resource);
        }
        ensure!(!drawn.patients.is_empty(), "no patient was found");
        Ok(drawn)
    }

    fn take(&mut self, resource: &Value) {
        let code = |at: &Value| {
            let coding = &at["coding"][0];
            Some(format!(
                "{}|{}",
                coding["system"].as_str()?,
                coding["code"].as_str()?
            ))
        };
        match resource["resourceType"].as_str() {
            Some("Patient") => {
                let identifier = &resource["identifier"][0];
                let found = identifier["system"]
                    .as_str()
                    .zip(identifier["value"].as_str());
                self.identifiers
                    .extend(found.map(|(system, value)| format!("{system}|{value}")));
                push(&mut self.families, resource["name"][0]["family"].as_str());
                push(&mut self.births, resource["birthDate"].as_str());
                push(&mut self.cities, resource["address"][0]["city"].as_str());
            }
            Some("Observation") => {
                self.observation_codes.extend(code(&resource["code"]));
                let day = resource["effectiveDateTime"].as_str();
                push(&mut self.days, day.and_then(|day| day.get(..10)));
            }
            Some("Condition") => self.condition_codes.extend(code(&resource["code"])),
            Some("MedicationRequest") => {
                self.drug_codes
                    .extend(code(&resource["medicationCodeableConcept"]));
            }
            Some("Immunization") => self.vaccine_codes.extend(code(&resource["vaccineCode"])),
            Some("Practitioner") => {
                let identifier = &resource["identifier"][0];
                let found = identifier["system"]
                    .as_str()
                    .zip(identifier["value"].as_str());
                self.practitioners
                    .extend(found.map(|(system, value)| format!("{system}|{value}")));
            }
            Some(_) | None => {}
        }
    }

    /// A path to read by id.
    pub(super) fn read(&self, at: u64) -> String {
        if at.is_multiple_of(2) {
            format!("Patient/{}", of(&self.patients, at))
        } else {
            format!("Observation/{}", of(&self.observations, at))
        }
    }

    /// A shape with the values of its `at`th use.
    pub(super) fn fill(&self, shape: &str, at: u64) -> String {
        let day = of(&self.days, at);
        let values = [
            ("{patient}", of(&self.patients, at)),
            ("{encounter}", of(&self.encounters, at)),
            ("{identifier}", of(&self.identifiers, at)),
            ("{family}", of(&self.families, at)),
            ("{birth}", of(&self.births, at)),
            ("{city}", of(&self.cities, at)),
            ("{observation}", of(&self.observation_codes, at)),
            ("{condition}", of(&self.condition_codes, at)),
            ("{drug}", of(&self.drug_codes, at)),
            ("{vaccine}", of(&self.vaccine_codes, at)),
            ("{practitioner}", of(&self.practitioners, at)),
            ("{day}", day),
            ("{month}", day.get(..7).unwrap_or_default()),
        ];
        let mut filled = shape.to_owned();
        for (name, value) in values {
            if filled.contains(name) {
                filled = filled.replace(name, &escaped(value));
            }
        }
        filled
    }
}

fn push(to: &mut Vec<String>, value: Option<&str>) {
    to.extend(value.map(str::to_owned));
}

/// A value at random, but the same for the same number.
fn of(values: &[String], at: u64) -> &str {
    let spread = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let place = usize::try_from(spread).unwrap_or_default() % values.len().max(1);
    values.get(place).map_or("", String::as_str)
}

/// As a query writes it.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/|".contains(&byte);
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'|' => text.push_str("%7C"),
            byte if plain(byte) => text.push(char::from(byte)),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Ids of a type, spread over all that there are.
async fn ids(fhir: &mut Fhir, kind: &str) -> Result<Vec<String>> {
    let mut path = format!("{kind}?_elements=id&_count=1000");
    let mut found = Vec::new();
    while found.len() < IDS_MAX {
        let bundle = fhir.json(&path).await?;
        let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
        found.extend(
            entries
                .iter()
                .filter_map(|entry| Some(entry["resource"]["id"].as_str()?.to_owned())),
        );
        let links = bundle["link"].as_array().map_or(&[][..], Vec::as_slice);
        let next = links.iter().find(|link| link["relation"] == "next");
        match next.and_then(|link| link["url"].as_str()?.split_once("/fhir/")) {
            Some((_, next)) => path = next.to_owned(),
            None => break,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_a_shape_with_escaped_values() {
        let drawn = Drawn {
            identifiers: vec!["http://a.b|1 2".to_owned()],
            ..Drawn::default()
        };
        let filled = drawn.fill("Patient?identifier={identifier}&_count=1", 7);
        assert_eq!(filled, "Patient?identifier=http://a.b%7C1%202&_count=1");
    }
}
