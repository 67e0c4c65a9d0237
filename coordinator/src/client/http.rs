//! A fleet read through a dashboard's HTTP API.

use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::{BotId, Command, Error, Repository, Result, SessionId, Tier, WorkerId};
use futures_util::{StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{MAX_FINDINGS, MAX_SESSIONS, Reader, ReportQuery, ReportStream};
use crate::alert::Silence;
use crate::answer::{AlertList, AuditTrail, GivenUp, NewSilence, Silences};
use crate::answer::{AnomalyList, Bots, Explained, FindingsQuery, HealthOf, RepositoryHealth};
use crate::answer::{SessionPage, SessionView, Workers};
use crate::conserve::Conservation;
use crate::health::Explanation;
use crate::index::Page;
use crate::store::SessionQuery;
use crate::store::operate::{LetterId, Letters};
use crate::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};

/// Time between two looks where hints are not heard: what a person notices.
const POLL: Duration = Duration::from_secs(1);
/// Longest time for a report beyond that for any answer: a million findings over 10 Mbit/s.
const REPORT_TIMEOUT: Duration = Duration::from_mins(10);

/// What an id may hold as it is; anything else names nothing, and ends no path.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

/// Asks a dashboard.
#[derive(Clone, Debug)]
pub struct HttpReader {
    api: HttpWriter,
}

impl HttpReader {
    /// A reader of the dashboard that `api` talks to.
    pub fn new(api: HttpWriter) -> Self {
        Self { api }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: Vec<(&'static str, String)>,
    ) -> Result<T> {
        let path = with(path, &parameters)?;
        let request = self.api.request(Method::GET, &path, Duration::ZERO)?;
        self.api.send(request).await
    }
}

impl HttpReader {
    /// Asks for a health with how it was made.
    async fn explained<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.get(path, vec![("explain", "1".to_owned())]).await
    }

    /// Does something to what has the id, in the name of `author`.
    async fn act(&self, method: Method, path: &str, id: &str, author: &str) -> Result<()> {
        let id = utf8_percent_encode(id, ID);
        let path = with(&format!("{path}/{id}"), &[("author", author.to_owned())])?;
        let request = self.api.request(method, &path, Duration::ZERO)?;
        self.api.respond(request).await.map(drop)
    }
}

/// `path` under the API with its parameters.
fn with(path: &str, parameters: &[(&'static str, String)]) -> Result<String> {
    if parameters.is_empty() {
        return Ok(format!("api/v1/{path}"));
    }
    let url = Url::parse_with_params("http://unused/", parameters).map_err(Error::protocol)?;
    Ok(format!("api/v1/{path}?{}", url.query().unwrap_or_default()))
}

#[async_trait]
impl Reader for HttpReader {
    fn address(&self) -> String {
        self.api.address().to_owned()
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage> {
        let mut parameters = vec![("limit", query.limit.clamp(1, MAX_SESSIONS).to_string())];
        let repository = query.repository.iter();
        parameters.extend(repository.map(|name| ("repository", name.to_string())));
        parameters.extend(query.after.iter().map(|c| ("cursor", c.to_string())));
        self.get("sessions", parameters).await
    }

    async fn session(&self, session: &SessionId) -> Result<SessionView> {
        self.get(&format!("sessions/{session}"), Vec::new()).await
    }

    async fn session_health(&self, session: &SessionId) -> Result<SessionHealth> {
        let path = format!("sessions/{session}/health");
        self.get(&path, Vec::new()).await
    }

    async fn findings(&self, session: &SessionId, query: &FindingsQuery) -> Result<Page> {
        let mut parameters = query.parameters();
        let limit = query.page.limit.clamp(1, MAX_FINDINGS);
        parameters.push(("limit", limit.to_string()));
        let path = format!("sessions/{session}/findings");
        self.get(&path, parameters).await
    }

    async fn report(&self, session: &SessionId, query: &ReportQuery) -> Result<ReportStream> {
        let mut parameters = query.findings.parameters();
        parameters.push(("format", query.format.to_string()));
        parameters.extend(query.limit.map(|limit| ("limit", limit.to_string())));
        let path = with(&format!("sessions/{session}/report"), &parameters)?;
        let request = self.api.request(Method::GET, &path, REPORT_TIMEOUT)?;
        let response = self.api.respond(request).await?;
        let store = self.address();
        let broke = move |error: reqwest::Error| Error::Unavailable {
            store: store.clone(),
            why: format!("the report broke off ({})", error.without_url()),
        };
        Ok(response.bytes_stream().map_err(broke).boxed())
    }

    async fn health(&self) -> Result<FleetHealth> {
        self.get("health", Vec::new()).await
    }

    async fn tier_health(&self, tier: Tier) -> Result<HealthOf> {
        self.get(&format!("health/tiers/{tier}"), Vec::new()).await
    }

    async fn bot_health(&self, bot: &BotId) -> Result<HealthOf> {
        self.get(&format!("health/bots/{bot}"), Vec::new()).await
    }

    async fn explained_health(&self) -> Result<Explained<FleetHealth, FleetExplanation>> {
        self.explained("health").await
    }

    async fn explained_tier(&self, tier: Tier) -> Result<Explained<HealthOf, Explanation>> {
        self.explained(&format!("health/tiers/{tier}")).await
    }

    async fn explained_bot(&self, bot: &BotId) -> Result<Explained<HealthOf, Explanation>> {
        self.explained(&format!("health/bots/{bot}")).await
    }

    async fn explained_session(
        &self,
        session: &SessionId,
    ) -> Result<Explained<SessionHealth, SessionExplanation>> {
        self.explained(&format!("sessions/{session}/health")).await
    }

    async fn repository_health(
        &self,
        repository: &Repository,
        explain: bool,
    ) -> Result<Explained<RepositoryHealth, Explanation>> {
        let name = utf8_percent_encode(repository.as_str(), NON_ALPHANUMERIC);
        let parameters = vec![("explain", u8::from(explain).to_string())];
        self.get(&format!("health/repositories/{name}"), parameters)
            .await
    }

    async fn anomalies(&self, bot: Option<&BotId>) -> Result<AnomalyList> {
        let parameters = bot.iter().map(|bot| ("bot", bot.to_string()));
        self.get("anomalies", parameters.collect()).await
    }

    async fn bots(&self) -> Result<Bots> {
        self.get("bots", Vec::new()).await
    }

    async fn workers(&self) -> Result<Workers> {
        self.get("workers", Vec::new()).await
    }

    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters> {
        let mut parameters = vec![("limit", limit.to_string())];
        parameters.extend(after.iter().map(|id| ("after", id.to_string())));
        self.get("dead", parameters).await
    }

    async fn conservation(&self) -> Result<Conservation> {
        self.get("conservation", Vec::new()).await
    }

    async fn alerts(&self) -> Result<AlertList> {
        self.get("alerts", Vec::new()).await
    }

    async fn silences(&self) -> Result<Silences> {
        self.get("silences", Vec::new()).await
    }

    async fn silence(&self, new: &NewSilence) -> Result<Silence> {
        let path = "api/v1/silences";
        let request = self.api.request(Method::POST, path, Duration::ZERO)?;
        self.api.send(request.json(new)).await
    }

    async fn unsilence(&self, id: &str, author: &str) -> Result<()> {
        self.act(Method::DELETE, "silences", id, author).await
    }

    async fn undelivered(&self) -> Result<GivenUp> {
        self.get("undelivered", Vec::new()).await
    }

    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.act(Method::POST, "alerts/undelivered", id, author)
            .await
    }

    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.act(Method::DELETE, "alerts/undelivered", id, author)
            .await
    }

    async fn audit(&self, limit: usize) -> Result<AuditTrail> {
        self.get("audit", vec![("limit", limit.to_string())]).await
    }

    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()> {
        let path = format!("api/v1/workers/{worker}/command");
        let request = self.api.request(Method::POST, &path, Duration::ZERO)?;
        let request = request.json(&json!({ "command": command }));
        self.api.respond(request).await.map(drop)
    }

    async fn changed(&self) {
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_escaped_in_the_query() {
        let parameters = [
            ("file", "a&b=c d/é".to_owned()),
            ("sort", "path".to_owned()),
        ];
        assert_eq!(
            with("x", &parameters).unwrap(),
            "api/v1/x?file=a%26b%3Dc+d%2F%C3%A9&sort=path"
        );
        assert_eq!(with("x", &[]).unwrap(), "api/v1/x");
    }
}
