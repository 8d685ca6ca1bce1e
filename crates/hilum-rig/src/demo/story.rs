//! One patient's stay with all that goes wrong in one, and what each system has to have at the end.
//!
//! Admitted; blood is taken, one value comes first, one is corrected; a result of a neighbour comes
//! under her number and is withdrawn; she turns out to be registered twice and is merged; an order is
//! cancelled after a part of it was reported; an order waits while the laboratory is down; she goes
//! home.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use hilum_testkit::mllp::Client;
use hilum_testkit::receiver::Receiver;

use super::peer::{Arrival, Peer};

/// What is sent by whom, in its order: the sender, a word for the log, and the message.
#[derive(Debug)]
pub(super) struct Story {
    /// Her number; the numbers of visit and orders derive from it.
    patient: u64,
    sent: u32,
}

/// Where a sender is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Pas,
    Lis,
    Cpoe,
}

impl From {
    fn address(self) -> SocketAddr {
        let port = match self {
            Self::Pas => 26_710,
            Self::Lis => 26_711,
            Self::Cpoe => 26_713,
        };
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Pas => "PAS",
            Self::Lis => "LIS",
            Self::Cpoe => "CPOE",
        }
    }
}

const SHE: &str = "ZZSTORY^EDDA||19610214|F";
const NEIGHBOUR: &str = "ZZSTORY^ULF||19480530|M";

/// What a system has to know of the patients of a story, under their numbers.
type Facts = BTreeMap<String, String>;

impl Story {
    /// The story of a round.
    pub(super) const fn of(round: u64) -> Self {
        Self {
            patient: 7_000_000 + 10 * round,
            sent: 0,
        }
    }

    /// Her number, the one that she was given a second time, and the neighbour's.
    fn numbers(&self) -> [String; 3] {
        [0, 1, 2].map(|at| (self.patient + at).to_string())
    }

    /// Plays it; `lis` is the laboratory that goes down.
    pub(super) async fn play(&mut self, lis: &mut Peer) -> Result<()> {
        let [she, twice, neighbour] = self.numbers();
        self.registered("A01", &neighbour, NEIGHBOUR, "ONC").await?;
        self.registered("A01", &she, SHE, "MED1").await?;
        self.order("NW", &she, "1").await?;
        let partly = [
            "1|NM|K^Kalium^L||4.1|mmol/l|||||F",
            "2|NM|NA^Natrium^L||141|mmol/l|||||P",
        ];
        self.result(&she, SHE, "1", &partly).await?;
        self.result(&she, SHE, "1", &["1|NM|NA^Natrium^L||139|mmol/l|||||F"])
            .await?;
        self.result(&she, SHE, "1", &["1|NM|K^Kalium^L||4.4|mmol/l|||||C"])
            .await?;
        // Two tubes were swapped.
        let creatinine = |status| format!("1|NM|CREA^Kreatinin^L||310|umol/l|||||{status}");
        self.result(&she, SHE, "2", &[&creatinine("F")]).await?;
        self.result(&she, SHE, "2", &[&creatinine("W")]).await?;
        self.result(&neighbour, NEIGHBOUR, "3", &[&creatinine("F")])
            .await?;
        // Admitted through another door, she has another number, and results under it.
        self.registered("A04", &twice, SHE, "SURG").await?;
        self.result(&twice, SHE, "4", &["1|NM|CRP^CRP^L||12|mg/l|||||F"])
            .await?;
        self.merged(&twice, &she).await?;
        self.result(&twice, SHE, "5", &["1|NM|HB^Haemoglobin^L||131|g/l|||||F"])
            .await?;
        self.order("NW", &she, "6").await?;
        self.result(&she, SHE, "6", &["1|NM|CRP^CRP^L||9|mg/l|||||P"])
            .await?;
        self.order("CA", &she, "6").await?;
        self.result(&she, SHE, "6", &["1|NM|CRP^CRP^L||||||||X"])
            .await?;
        lis.down().await;
        self.order("NW", &she, "7").await?;
        lis.up()?;
        self.registered("A03", &she, SHE, "MED1").await
    }

    /// What is not as it should be; empty once everybody has the right view.
    pub(super) fn wrong(&self, ehr: &Peer, others: [&Peer; 2], lis: &Peer) -> Vec<String> {
        let [she, twice, neighbour] = self.numbers();
        let who = |text: &str| text.replace('^', " ").replace("||", " ").replace('|', " ");
        let visit = |number: &str| format!("{number} visit V{number}");
        let registered: Facts = [
            (she.clone(), who(SHE)),
            (visit(&she), "MED1 discharged".to_owned()),
            (
                format!("{she} visit V{twice}"),
                "SURG registered".to_owned(),
            ),
            (neighbour.clone(), who(NEIGHBOUR)),
            (visit(&neighbour), "ONC admitted".to_owned()),
        ]
        .into();
        let order = |n: &str| format!("{she} order P{}{n}", self.patient);
        let orders: Facts = [("1", "ordered"), ("6", "cancelled"), ("7", "ordered")]
            .map(|(n, state)| (order(n), state.to_owned()))
            .into();
        let result = |number: &str, n: &str, code: &str| {
            format!("{number} result F{}{n} {code}", self.patient)
        };
        let results = [
            (result(&she, "1", "2823-3"), "4.4 mmol/L corrected"),
            (result(&she, "1", "2951-2"), "139 mmol/L final"),
            (result(&she, "2", "14682-9"), "withdrawn"),
            (result(&neighbour, "3", "14682-9"), "310 umol/L final"),
            (result(&she, "4", "1988-5"), "12 mg/L final"),
            (result(&she, "5", "718-7"), "131 g/L final"),
            (result(&she, "6", "1988-5"), "cancelled"),
        ];
        let mut record = registered.clone();
        record.extend(orders.clone());
        record.extend(results.map(|(what, value)| (what, value.to_owned())));
        let mut all = self.compared(ehr, &record);
        for other in others {
            all.extend(self.compared(other, &registered));
        }
        all.extend(self.compared(lis, &orders));
        all
    }

    /// What a system has of the story's patients, against what it should have.
    fn compared(&self, peer: &Peer, expected: &Facts) -> Vec<String> {
        let mut receiver = Receiver::default();
        let took = |arrival: &Arrival| arrival.answer == "AA";
        for arrival in peer.seen().iter().filter(|arrival| took(arrival)) {
            receiver.take(&String::from_utf8_lossy(&arrival.bytes));
        }
        let ours = self.numbers();
        let of_ours = |what: &str| ours.iter().any(|number| what.starts_with(&**number));
        let mut facts = receiver.facts();
        facts.retain(|what, _| of_ours(what));
        let wrong = |what: &String| {
            let (has, should) = (facts.get(what), expected.get(what));
            let say = |value: Option<&String>| value.map_or("nothing", |value| value).to_owned();
            (has != should)
                .then(|| format!("{}: {what} is {}, not {}", peer.name, say(has), say(should)))
        };
        let names: std::collections::BTreeSet<&String> =
            facts.keys().chain(expected.keys()).collect();
        names.into_iter().filter_map(wrong).collect()
    }

    async fn registered(&mut self, event: &str, number: &str, who: &str, ward: &str) -> Result<()> {
        let visit = format!("PV1|1|I|{ward}^01^1^STE||||||||||||||||V{number}");
        let body = format!("PID|1||{number}^^^STE^MR||{who}\r{visit}\r");
        self.send(From::Pas, &format!("ADT^{event}"), Some(event), &body)
            .await
    }

    async fn merged(&mut self, from: &str, into: &str) -> Result<()> {
        let body = format!("PID|1||{into}^^^STE^MR||{SHE}\rMRG|{from}^^^STE^MR\r");
        self.send(From::Pas, "ADT^A40", Some("A40"), &body).await
    }

    async fn order(&mut self, code: &str, number: &str, n: &str) -> Result<()> {
        let placer = format!("P{}{n}", self.patient);
        let body = format!(
            "PID|1||{number}^^^STE^MR||{SHE}\rPV1|1|I|MED1||||||||||||||||V{number}\r\
             ORC|{code}|{placer}\rOBR|1|{placer}||CHEM^Chemie^L\r"
        );
        self.send(From::Cpoe, "ORM^O01", None, &body).await
    }

    async fn result(&mut self, number: &str, who: &str, n: &str, lines: &[&str]) -> Result<()> {
        let (placer, filler) = (
            format!("P{}{n}", self.patient),
            format!("F{}{n}", self.patient),
        );
        let mut body = format!(
            "PID|1||{number}^^^STE^MR||{who}\rORC|RE|{placer}|{filler}\r\
             OBR|1|{placer}|{filler}|CHEM^Chemie^L\r"
        );
        for line in lines {
            body.push_str("OBX|");
            body.push_str(line);
            body.push('\r');
        }
        self.send(From::Lis, "ORU^R01", None, &body).await
    }

    async fn send(
        &mut self,
        from: From,
        kind: &str,
        event: Option<&str>,
        body: &str,
    ) -> Result<()> {
        self.sent += 1;
        let id = format!("S{}{:02}", self.patient, self.sent);
        let at = format!("202603010800{:02}", self.sent);
        let event = event.map_or_else(String::new, |event| format!("EVN|{event}|{at}\r"));
        let message = format!(
            "MSH|^~\\&|{}|STE|HILUM|STE|{at}||{kind}|{id}|P|2.5.1\r{event}{body}",
            from.name()
        );
        let mut client = Client::connect(from.address())
            .await
            .with_context(|| format!("{} cannot connect to {}", from.name(), from.address()))?;
        let answer = client.exchange(message.as_bytes()).await?;
        if !String::from_utf8_lossy(&answer).contains(&format!("MSA|AA|{id}")) {
            bail!("{kind} {id} of the story was not accepted");
        }
        Ok(())
    }
}
