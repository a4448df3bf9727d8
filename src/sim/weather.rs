//! The weather between machines and the store: how bad the network is in general, and storms over one machine, one kind of
//! request or one kind of object, which pass.
//!
//! What befalls a request is drawn from a generator of its own process, so that the same seed gives the same weather.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Meaning;
use crate::store::adapters::memory::{Fate, Request};

use super::cluster::hold;
use super::host::Rng;

/// The time that a request takes that is delivered late, at the most, where the weather says no more.
const LATER: u64 = 5_000;

/// Times for which a store asks to be left alone, in milliseconds: none, less than a handover is waited for, and more.
const ASKS: [Option<u64>; 4] = [None, Some(1_000), Some(5_000), Some(20_000)];

/// The state of the network, in percent of requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub fails: u64,
    pub lost: u64,
    pub late: u64,
    pub twice: u64,
    /// Requests that are refused with a time for which the store asks to be left alone.
    pub throttled: u64,
    /// Removals of which only a part is done.
    pub partial: u64,
    /// Longest time a request takes, in milliseconds.
    pub slow: u64,
    /// Longest time by which a late one is later than usual, in milliseconds.
    pub later: u64,
    /// Bytes per second; 0: any number.
    pub bandwidth: u64,
}

impl Weather {
    /// The worse of both, in each respect.
    fn and(self, other: Weather) -> Weather {
        Weather {
            fails: self.fails.max(other.fails),
            lost: self.lost.max(other.lost),
            late: self.late.max(other.late),
            twice: self.twice.max(other.twice),
            throttled: self.throttled.max(other.throttled),
            partial: self.partial.max(other.partial),
            slow: self.slow.max(other.slow),
            later: self.later.max(other.later),
            bandwidth: match (self.bandwidth, other.bandwidth) {
                (0, any) | (any, 0) => any,
                (one, two) => one.min(two),
            },
        }
    }

    /// The time that so many bytes take.
    pub fn transfer(&self, bytes: usize) -> Duration {
        let millis = (bytes as u64 * 1000).checked_div(self.bandwidth).unwrap_or(0);
        Duration::from_millis(millis)
    }

    /// The time that a request takes, and its fate.
    pub fn befalls(&self, rng: &mut Rng) -> (Duration, Fate) {
        let time = Duration::from_millis(rng.below(self.slow + 1));
        let later = Duration::from_millis(rng.below(LATER + self.later));
        let roll = rng.below(100);
        let mut edge = 0;
        let mut within = |share: u64| {
            edge += share;
            roll < edge
        };
        let fate = if within(self.fails) {
            Fate::FailBefore
        } else if within(self.lost) {
            Fate::FailAfter
        } else if within(self.late) {
            Fate::Late(later)
        } else if within(self.twice) {
            Fate::Twice(later)
        } else if within(self.throttled) {
            let asks = ASKS[usize::try_from(rng.below(ASKS.len() as u64)).unwrap_or(0)];
            Fate::Refuse(Meaning::Throttled(asks.map(Duration::from_millis)))
        } else {
            Fate::Done
        };
        (time, fate)
    }
}

/// The names that a storm concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    All,
    Claims,
    Data,
}

/// Bad weather over a part of the network that passes.
#[derive(Clone, Copy)]
pub struct Storm {
    /// The machine whose requests it concerns; all of them otherwise.
    pub machine: Option<usize>,
    pub request: Option<Request>,
    pub names: Names,
    pub weather: Weather,
    pub lasts: Duration,
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who =
            self.machine.map_or_else(|| "all machines".to_owned(), |number| format!("machine {number}"));
        let what = self.request.map_or_else(|| "every request".to_owned(), |request| format!("{request:?}"));
        write!(f, "storm over {who}, {what} of {:?} for {:?}: {:?}", self.names, self.lasts, self.weather)
    }
}

impl Storm {
    /// A storm somewhere, as an accident has it.
    pub fn draw(rng: &mut Rng, machines: u64) -> Storm {
        let machine = rng.chance(70).then(|| usize::try_from(rng.below(machines)).unwrap_or(0));
        let request =
            [None, Some(Request::Put), Some(Request::List), Some(Request::Get), Some(Request::Delete)];
        let request = request[usize::try_from(rng.below(5)).unwrap_or(0)];
        let names =
            [Names::All, Names::All, Names::Claims, Names::Data][usize::try_from(rng.below(4)).unwrap_or(0)];
        // From a moment to ten times as long as a handover is waited for.
        let longest = [400, 1_600, 5_000, 16_000][usize::try_from(rng.below(4)).unwrap_or(0)];
        let calm = Weather::default();
        let weather = match rng.below(7) {
            0 => Weather { slow: longest, ..calm },
            // A partition in one direction, or in the other.
            1 => Weather { fails: 100, ..calm },
            2 => Weather { lost: 100, ..calm },
            3 => Weather { late: 100, later: longest, ..calm },
            4 => Weather { bandwidth: 40 + rng.below(2_000), ..calm },
            5 => Weather { throttled: 100, ..calm },
            _ => Weather {
                fails: rng.below(40),
                lost: rng.below(40),
                twice: rng.below(40),
                throttled: rng.below(10),
                partial: 50,
                slow: longest,
                ..calm
            },
        };
        Storm { machine, request, names, weather, lasts: Duration::from_millis(200 + rng.below(longest * 2)) }
    }

    fn concerns(&self, machine: usize, request: Request, name: &str) -> bool {
        let is_claim = name.starts_with("v1/claims/");
        self.machine.is_none_or(|only| only == machine)
            && self.request.is_none_or(|only| only == request)
            && match self.names {
                Names::All => true,
                Names::Claims => is_claim,
                Names::Data => !is_claim,
            }
    }
}

/// The weather everywhere.
#[derive(Default)]
pub struct Sky {
    general: Mutex<Weather>,
    storms: Mutex<Vec<(Storm, Instant)>>,
}

impl Sky {
    /// Sets the weather everywhere from now on.
    pub fn set(&self, weather: Weather) {
        *hold(&self.general) = weather;
    }

    /// A storm begins.
    pub fn begin(&self, storm: Storm) {
        hold(&self.storms).push((storm, Instant::now() + storm.lasts));
    }

    /// Ends all storms.
    pub fn clear(&self) {
        hold(&self.storms).clear();
    }

    /// The weather for one request.
    pub fn over(&self, machine: usize, request: Request, name: &str) -> Weather {
        let mut storms = hold(&self.storms);
        let now = Instant::now();
        storms.retain(|(_, ends)| *ends > now);
        let here = storms.iter().filter(|(storm, _)| storm.concerns(machine, request, name));
        here.fold(*hold(&self.general), |sum, (storm, _)| sum.and(storm.weather))
    }
}
