//! The bots of a context: who they are, what each waits for.

use std::sync::{Arc, LazyLock};

use fleet_worker_sdk::session::MAX_EXECUTIONS;
use fleet_worker_sdk::{Bot, BotId, Error, Result, Tier, roster};

/// A registered bot of one context, as cheap to pass as a number. One from another context names
/// another bot or none: it is a place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(u16);

impl Handle {
    pub(super) const NOBODY: Self = Self(u16::MAX);

    #[inline]
    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }

    /// The handle of the bot at `place`, which is below [`MAX_EXECUTIONS`].
    pub(super) fn at(place: usize) -> Self {
        Self(place as u16)
    }
}

const WORDS: usize = MAX_EXECUTIONS / 64;

/// A set of bots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set([u64; WORDS]);

impl Set {
    pub(super) fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    #[inline]
    pub(super) fn contains(&self, place: usize) -> bool {
        let word = self.0.get(place / 64).copied().unwrap_or_default();
        word & (1 << (place % 64)) != 0
    }

    /// Whether all of it is in `other`.
    #[inline]
    pub(super) fn within(&self, other: &Self) -> bool {
        let mut words = self.0.iter().zip(other.0);
        words.all(|(one, other)| one & !other == 0)
    }

    /// The first so many places.
    pub(super) fn first(count: usize) -> Self {
        let word = |at: usize| match count.saturating_sub(at * 64) {
            some @ 0..64 => (1 << some) - 1,
            _ => u64::MAX,
        };
        Self(std::array::from_fn(word))
    }

    #[inline]
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        let words = self.0.into_iter().enumerate();
        words.flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

/// Registered bots, shared between contexts until one of them registers another.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    bots: Vec<Arc<Bot>>,
    /// By place: the registered bots it depends on.
    needs: Vec<Set>,
    verifiers: Set,
    finishers: Set,
}

/// The classic bots that are not external, registered once for all contexts.
static CLASSIC: LazyLock<Arc<Fleet>> = LazyLock::new(|| {
    let mut fleet = Fleet::default();
    // Every classic name is a valid id, and there are fewer than a context takes.
    for bot in roster::all().unwrap_or_default() {
        if !bot.external {
            let _ = fleet.register(Arc::new(bot));
        }
    }
    Arc::new(fleet)
});

static NOBODY: LazyLock<Arc<Fleet>> = LazyLock::new(Arc::default);

impl Fleet {
    /// The classic bots.
    pub(super) fn classic() -> &'static Arc<Self> {
        &CLASSIC
    }

    /// No bots.
    #[inline]
    pub(super) fn nobody() -> &'static Arc<Self> {
        &NOBODY
    }

    /// Registers a bot, or describes it anew.
    pub(super) fn register(&mut self, bot: Arc<Bot>) -> Result<Handle> {
        bot.check()?;
        let known = self.find(&bot.id);
        let place = known.map_or(self.bots.len(), Handle::place);
        if place == MAX_EXECUTIONS {
            return Err(Error::TooLarge {
                what: "bots of a context".to_owned(),
                size: place as u64 + 1,
                limit: MAX_EXECUTIONS as u64,
            });
        }
        let needs = self.link(&bot, place);
        self.verifiers.remove(place);
        self.finishers.remove(place);
        match bot.tier {
            Tier::Verifier => self.verifiers.insert(place),
            Tier::Finisher => self.finishers.insert(place),
            _ => {}
        }
        if let (Some(known), Some(known_needs)) =
            (self.bots.get_mut(place), self.needs.get_mut(place))
        {
            (*known, *known_needs) = (bot, needs);
        } else {
            self.bots.push(bot);
            self.needs.push(needs);
        }
        Ok(Handle::at(place))
    }

    /// The bots that `bot` depends on; those that depend on it learn its place.
    fn link(&mut self, bot: &Bot, place: usize) -> Set {
        let mut needs = Set::default();
        for (at, other) in self.bots.iter().enumerate() {
            if bot.depends_on.contains(&other.id) {
                needs.insert(at);
            }
            if other.depends_on.contains(&bot.id)
                && let Some(needs) = self.needs.get_mut(at)
            {
                needs.insert(place);
            }
        }
        needs
    }

    pub(super) fn find(&self, id: &BotId) -> Option<Handle> {
        let place = self.bots.iter().position(|bot| bot.id == *id)?;
        Some(Handle::at(place))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bots.len()
    }

    pub(super) fn bots(&self) -> &[Arc<Bot>] {
        &self.bots
    }

    #[inline]
    pub(super) fn bot(&self, handle: Handle) -> Option<&Bot> {
        self.bots.get(handle.place()).map(AsRef::as_ref)
    }

    pub(super) fn needs(&self, place: usize) -> Set {
        self.needs.get(place).copied().unwrap_or_default()
    }

    /// Whether the bot at `place` waits for nobody who is not in `settled`.
    #[inline]
    pub(super) fn may_start(&self, place: usize, settled: &Set) -> bool {
        let gate = !self.finishers.contains(place) || self.verifiers.within(settled);
        gate && self
            .needs
            .get(place)
            .is_none_or(|needs| needs.within(settled))
    }
}

/// The error of a handle that is none of this context's.
#[cold]
pub(super) fn stranger(handle: Handle) -> Error {
    Error::not_found("bot of this context", handle.0)
}
