//! Reports, put together from small texts.

#![allow(
    clippy::format_push_string,
    reason = "this is how one writes it first, which is what is measured against"
)]

use std::collections::HashMap;

use fleet_worker_sdk::Severity;
use serde::Serialize;
use uuid::Uuid;

use super::{Bot, Context};

/// A context in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Whose it is.
    pub id: Uuid,
    /// The repository's name.
    pub name: String,
    /// 0-100.
    pub score: f64,
    /// In a word.
    pub status: String,
    /// All findings.
    pub total: usize,
    /// Whether this should not be released.
    pub blocks_release: bool,
    /// By severity.
    pub severities: HashMap<Severity, usize>,
    /// By bot.
    pub bots: HashMap<Bot, usize>,
    /// By category.
    pub categories: HashMap<String, usize>,
}

impl Context {
    /// It in numbers.
    pub fn summary(&self) -> Summary {
        let health = self.health();
        let (mut severities, mut bots, mut categories) =
            (HashMap::new(), HashMap::new(), HashMap::new());
        for bot in self.executions.keys() {
            bots.insert(*bot, 0);
        }
        for finding in &self.findings {
            *severities.entry(finding.severity).or_default() += 1;
            *bots.entry(finding.bot).or_default() += 1;
            *categories.entry(finding.category.clone()).or_default() += 1;
        }
        Summary {
            id: self.id,
            name: self.name.clone(),
            score: health.score,
            status: health.status,
            total: self.findings.len(),
            blocks_release: self.blocks_release(),
            severities,
            bots,
            categories,
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let summary = self.summary();
        let mut out = String::new();
        out.push_str(&format!("# Findings of {}\n\n", summary.name));
        out.push_str(&format!(
            "Session {}, opened {}\n\n",
            summary.id, self.opened
        ));
        out.push_str(&format!(
            "## Health: {:.1} ({})\n\n",
            summary.score, summary.status
        ));
        out.push_str("## Severities\n\n| Severity | Findings |\n|---|---:|\n");
        for (severity, count) in &summary.severities {
            out.push_str(&format!("| {severity} | {count} |\n"));
        }
        out.push_str("\n## Bots\n\n| Bot | State | Findings |\n|---|---|---:|\n");
        for (bot, count) in &summary.bots {
            out.push_str(&format!(
                "| {} | {} | {count} |\n",
                bot.name(),
                self.state(*bot)
            ));
        }
        out.push_str("\n## Categories\n\n| Category | Findings |\n|---|---:|\n");
        for (category, count) in &summary.categories {
            out.push_str(&format!("| {category} | {count} |\n"));
        }
        out.push_str(&format!("\n{} findings.\n", summary.total));
        out
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let summary = self.summary();
        serde_json::to_string_pretty(&serde_json::json!(summary)).unwrap()
    }

    /// As one HTML page.
    pub fn html(&self) -> String {
        let summary = self.summary();
        let mut out = String::new();
        out.push_str(&format!(
            "<!doctype html><title>{0}</title><h1>{0}</h1>\n",
            summary.name
        ));
        out.push_str(&format!(
            "<p class=\"{1}\">{0:.1} {1}</p>\n",
            summary.score, summary.status
        ));
        out.push_str("<h2>Severities</h2><table>\n");
        for (severity, count) in &summary.severities {
            out.push_str(&format!("<tr><td>{severity}</td><td>{count}</td></tr>\n"));
        }
        out.push_str("</table>\n<h2>Categories</h2><table>\n");
        for (category, count) in &summary.categories {
            out.push_str(&format!("<tr><td>{category}</td><td>{count}</td></tr>\n"));
        }
        out.push_str("</table>\n");
        out.push_str("<h2>Bots</h2><table>\n");
        for (bot, count) in &summary.bots {
            let (name, state) = (bot.name(), self.state(*bot));
            out.push_str(&format!(
                "<tr><td>{name}</td><td>{state}</td><td>{count}</td></tr>\n"
            ));
        }
        out.push_str("</table>\n");
        out
    }

    fn state(&self, bot: Bot) -> String {
        self.executions
            .get(&bot)
            .map_or_else(String::new, |execution| format!("{:?}", execution.progress))
    }
}
