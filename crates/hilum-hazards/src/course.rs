//! What one run of a sequence does: the order of arrival, what goes wrong once, and when the power
//! goes. All of it follows from the sequence and a number, so that a run can be done again.

use crate::peers::Mishap;
use crate::random::Random;
use crate::sequence::{Scene, Sent, Sequence};

/// Messages up to which every order is tried.
const ALL_ORDERS_MAX: usize = 5;
/// Orders of longer sequences.
const DRAWN_ORDERS: u64 = 200;

/// What goes wrong once in a run, beside the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Something on the way to a receiver, at an attempt.
    Delivery(u64, Mishap),
    /// A source sends a message (by its place in the order) again, after so many others.
    Resend { message: usize, after: usize },
}

/// How large a sequence is, as its first run showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    /// Attempts of deliveries.
    pub(crate) attempts: u64,
    /// Writes and syncs of the disk.
    pub(crate) steps: u64,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) seed: u64,
    /// The messages of each scene, by their place in the file.
    pub(crate) orders: Vec<Vec<usize>>,
    pub(crate) retry: Retry,
    /// The write or sync at which the power goes.
    pub(crate) cut_at: u64,
    /// Each message waits until all is at rest.
    pub(crate) waits: bool,
}

/// A part of the runs, so that several machines or nights share them: those whose numbers leave the
/// same rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// Counts from 0.
    part: u64,
    of: u64,
}

impl Shard {
    pub(crate) fn has(self, number: u64) -> bool {
        number % self.of == self.part
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Self { part: part - 1, of }),
            _ => Err("write 3/40 for the third of forty parts".to_owned()),
        }
    }
}

/// All courses of a sequence.
pub(crate) struct Courses<'s> {
    sequence: &'s Sequence,
    /// All orders, if they are few enough to be tried one by one.
    all: Option<Vec<Vec<Vec<usize>>>>,
}

impl<'s> Courses<'s> {
    pub(crate) fn of(sequence: &'s Sequence) -> Self {
        let free = sequence
            .story
            .iter()
            .filter(|scene| !matches!(scene, Scene::InOrder(_)));
        let moving: usize = free.map(|scene| scene.messages().len()).sum();
        let all = (moving <= ALL_ORDERS_MAX).then(|| all_orders(&sequence.story));
        Self { sequence, all }
    }

    /// How many orders are tried.
    pub(crate) fn orders(&self) -> u64 {
        let all = self.all.as_ref();
        all.map_or(DRAWN_ORDERS, |all| {
            u64::try_from(all.len()).unwrap_or(u64::MAX)
        })
    }

    /// Runs that do something wrong at every place, for each order.
    pub(crate) fn places(&self, size: Size) -> u64 {
        size.steps.max(self.retries(size))
    }

    fn retries(&self, size: Size) -> u64 {
        2 * size.attempts + 2 * self.messages()
    }

    fn messages(&self) -> u64 {
        u64::try_from(self.sequence.messages().count()).unwrap_or(u64::MAX)
    }

    /// The course of a number: below [`Courses::orders`] one with places that are drawn, beyond it
    /// the places one after the other.
    pub(crate) fn course(&self, seed: u64, size: Size) -> Course {
        let (count, mut random) = (self.orders(), Random::new(&self.sequence.sequence, seed));
        let (which, turn) = (seed % count, seed / count);
        let orders = match &self.all {
            Some(all) => {
                let found = usize::try_from(which).ok().and_then(|at| all.get(at));
                found.cloned().unwrap_or_default()
            }
            None => {
                let mut own = Random::new(&self.sequence.sequence, which);
                let drawn = self.sequence.story.iter();
                drawn.map(|scene| drawn_order(scene, &mut own)).collect()
            }
        };
        let (retry, cut_at) = match turn.checked_sub(1) {
            None => (random.below(self.retries(size)), random.below(size.steps)),
            Some(turn) => (turn % self.retries(size).max(1), turn % size.steps.max(1)),
        };
        Course {
            seed,
            orders,
            retry: self.retry(retry, size),
            cut_at: 1 + cut_at,
            waits: random.below(2) == 0,
        }
    }

    fn retry(&self, number: u64, size: Size) -> Retry {
        if number < size.attempts {
            return Retry::Delivery(number, Mishap::AnswerLost);
        }
        let number = number - size.attempts;
        if number < size.attempts {
            return Retry::Delivery(number, Mishap::Unreachable);
        }
        let number = usize::try_from(number - size.attempts).unwrap_or(0);
        let count = self.sequence.messages().count();
        Retry::Resend {
            message: number % count,
            // At once, or after all others of its scene.
            after: if number < count { 0 } else { count },
        }
    }
}

/// Every order of every scene.
fn all_orders(story: &[Scene]) -> Vec<Vec<Vec<usize>>> {
    let mut all: Vec<Vec<Vec<usize>>> = vec![Vec::new()];
    for scene in story {
        let own = orders_of(scene);
        let longer = all.iter().flat_map(|begun| {
            own.iter().map(|order| {
                let mut begun = begun.clone();
                begun.push(order.clone());
                begun
            })
        });
        all = longer.collect();
    }
    all
}

fn orders_of(scene: &Scene) -> Vec<Vec<usize>> {
    let messages = scene.messages();
    let in_file: Vec<usize> = (0..messages.len()).collect();
    match scene {
        Scene::InOrder(_) | Scene::Do(_) => vec![in_file],
        Scene::AnyOrder(_) => permutations(&in_file),
        Scene::EachSourceInOrder(_) => {
            let mut all = permutations(&in_file);
            all.retain(|order| keeps_sources(order, messages));
            all
        }
    }
}

fn keeps_sources(order: &[usize], messages: &[Sent]) -> bool {
    let source = |at: &usize| messages.get(*at).map(|sent| &sent.source);
    order.iter().enumerate().all(|(place, first)| {
        let later = order.iter().skip(place + 1);
        later
            .filter(|second| source(first) == source(second))
            .all(|second| first < second)
    })
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let begun = items.iter().enumerate().flat_map(|(at, first)| {
        let mut rest = items.to_vec();
        rest.remove(at);
        permutations(&rest).into_iter().map(move |mut rest| {
            rest.insert(0, *first);
            rest
        })
    });
    begun.collect()
}

fn drawn_order(scene: &Scene, random: &mut Random) -> Vec<usize> {
    let messages = scene.messages();
    let mut order: Vec<usize> = (0..messages.len()).collect();
    match scene {
        Scene::InOrder(_) | Scene::Do(_) => {}
        Scene::AnyOrder(_) => random.shuffle(&mut order),
        Scene::EachSourceInOrder(_) => {
            random.shuffle(&mut order);
            // The places of each source are taken by its messages in their order.
            let source = |at: usize| messages.get(at).map(|sent| sent.source.as_str());
            let mut sorted: Vec<usize> = order.clone();
            sorted.sort_unstable();
            let placed = order.iter().map(|at| {
                let next = sorted
                    .iter()
                    .position(|other| source(*other) == source(*at));
                next.map_or(*at, |next| sorted.remove(next))
            });
            order = placed.collect();
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(scene: &str, count: usize) -> Sequence {
        let message = |n: usize| {
            let source = if n.is_multiple_of(2) { "pas" } else { "lis" };
            format!("      - {{ {source}: A, as: m{n}, at: 07:00 }}\n")
        };
        let messages: String = (0..count).map(message).collect();
        let text = format!(
            "sequence: s\nabout: a\nshows: [H]\nstory:\n  - {scene}:\n{messages}then: {{}}\n"
        );
        let read = hilum_config::yaml_texts("s.yaml", &text).unwrap().remove(0);
        serde_json::from_value(read).unwrap()
    }

    fn check(scene: &str, count: usize, orders: u64) {
        let sequence = sequence(scene, count);
        let courses = Courses::of(&sequence);
        assert_eq!(courses.orders(), orders);
        let size = Size {
            attempts: 3,
            steps: 50,
        };
        let mut seen: Vec<_> = (0..orders)
            .map(|seed| courses.course(seed, size).orders)
            .collect();
        for order in &seen {
            let mut sorted = order[0].clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            if scene == "each-source-in-order" {
                assert!(
                    keeps_sources(&order[0], sequence.story[0].messages()),
                    "{order:?}"
                );
            }
        }
        if count <= ALL_ORDERS_MAX {
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len() as u64, orders, "each order once");
        }
    }

    #[test]
    fn tries_every_order_of_five_messages_and_draws_those_of_more() {
        check("any-order", 5, 120);
        check("any-order", 7, 200);
        check("in-order", 7, 1);
    }

    #[test]
    fn keeps_the_order_of_each_source_where_the_sequence_says_so() {
        check("each-source-in-order", 4, 6);
        check("each-source-in-order", 8, 200);
    }

    #[test]
    fn the_parts_of_the_runs_are_all_of_them_and_none_is_in_two() {
        let parts: Vec<Shard> = ["1/3", "2/3", "3/3"]
            .map(|text| text.parse().unwrap())
            .into();
        for number in 0..10 {
            let has = parts.iter().filter(|part| part.has(number)).count();
            assert_eq!(has, 1, "run {number}");
        }
        for wrong in ["0/3", "4/3", "1/0", "1", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn goes_through_every_place_behind_the_drawn_ones() {
        let sequence = sequence("any-order", 2);
        let courses = Courses::of(&sequence);
        let size = Size {
            attempts: 3,
            steps: 50,
        };
        let cuts: Vec<u64> = (0..courses.places(size))
            .map(|turn| courses.course(courses.orders() * (turn + 1), size).cut_at)
            .collect();
        assert_eq!(cuts, (1..=50).collect::<Vec<_>>());
    }
}
