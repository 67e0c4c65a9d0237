//! How many clients there are, in total and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::config::Settings;

/// Counts clients and refuses too many; cheap to clone.
#[derive(Clone)]
pub(crate) struct Seats(Arc<Room>);

struct Room {
    max: usize,
    max_per_address: usize,
    taken: Mutex<Taken>,
    /// Told whenever somebody comes.
    came: Notify,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All of them are taken; holds how many there are.
    Full(usize),
    /// This address has as many as it may have; holds how many.
    TooManyOfAddress(usize),
}

/// One client's place, given back when dropped.
pub(crate) struct Seat {
    seats: Seats,
    address: IpAddr,
}

impl Seats {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self(Arc::new(Room {
            max: settings.max_clients,
            max_per_address: settings.max_clients_per_address,
            taken: Mutex::default(),
            came: Notify::new(),
        }))
    }

    /// A seat for a client of `address`.
    pub(crate) fn take(&self, address: IpAddr) -> Result<Seat, Refused> {
        let mut taken = self.taken();
        if taken.total >= self.0.max {
            return Err(Refused::Full(self.0.max));
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.0.max_per_address {
            return Err(Refused::TooManyOfAddress(self.0.max_per_address));
        }
        *of_address += 1;
        taken.total += 1;
        self.0.came.notify_one();
        Ok(Seat {
            seats: self.clone(),
            address,
        })
    }

    /// How many are taken.
    pub(crate) fn count(&self) -> usize {
        self.taken().total
    }

    /// Returns once somebody is there.
    pub(crate) async fn occupied(&self) {
        while self.count() == 0 {
            self.0.came.notified().await;
        }
    }

    /// The counts stay right whoever panics while holding the lock: each change is one step.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.total = taken.total.saturating_sub(1);
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(max_clients: usize, max_clients_per_address: usize) -> Seats {
        Seats::new(&Settings {
            max_clients,
            max_clients_per_address,
            ..Settings::default()
        })
    }

    #[test]
    fn an_address_takes_no_more_than_its_share() {
        let seats = seats(3, 2);
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = seats.take(here).unwrap();
        let _second = seats.take(here).unwrap();
        assert_eq!(seats.take(here).err(), Some(Refused::TooManyOfAddress(2)));
        let _third = seats.take(there).unwrap();
        assert_eq!(seats.take(there).err(), Some(Refused::Full(3)));
        drop(first);
        assert!(seats.take(here).is_ok());
    }

    #[test]
    fn an_address_that_left_is_forgotten() {
        let seats = seats(3, 2);
        drop(seats.take(IpAddr::from([10, 0, 0, 1])).unwrap());
        assert_eq!(seats.count(), 0);
        assert!(seats.taken().by_address.is_empty());
    }
}
