//! Sessions' numbers in Redis, and the mismatches that are known.

mod account;

mod repair;

use std::collections::HashMap;

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::fcall;
use fleet_worker_sdk::{Error, Result, SessionId};

use super::RedisStore;
use crate::conserve::{Account, Mismatch, Repair};
use crate::store::conserve::Conserve;

#[async_trait]
impl Conserve for RedisStore {
    async fn account(&self, session: &SessionId) -> Result<Account> {
        Ok(account::read(&self.link, session).await?.account)
    }

    async fn repair_session(&self, session: &SessionId, apply: bool) -> Result<Repair> {
        repair::repair(&self.link, session, apply).await
    }

    async fn mismatches(&self) -> Result<Vec<Mismatch>> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().conservation());
        let stored: HashMap<String, Vec<u8>> = self.link.call(&command).await?;
        let read = |json: &Vec<u8>| serde_json::from_slice(json).map_err(Error::protocol);
        stored.values().map(read).collect()
    }

    async fn note_mismatch(&self, mismatch: &Mismatch) -> Result<bool> {
        let mut command = fcall("fleet_mismatch_1", &[self.keys().conservation()]);
        command
            .arg(mismatch.account.session.as_str())
            .arg(serde_json::to_vec(mismatch).map_err(Error::protocol)?);
        let new: u8 = self.link.call(&command).await?;
        Ok(new == 1)
    }

    async fn forget_mismatch(&self, session: &SessionId) -> Result<()> {
        let mut command = redis::cmd("HDEL");
        command
            .arg(self.keys().conservation())
            .arg(session.as_str());
        let _removed: u64 = self.link.call(&command).await?;
        Ok(())
    }
}
