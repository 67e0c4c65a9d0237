//! Which findings: the same options for `fleet findings` and `fleet report`.

use clap::Args;
use fleet_coordinator::answer::FindingsQuery;
use fleet_coordinator::index::{Filter, PageQuery, Sort, Suppression};
use fleet_worker_sdk::{BotId, Result, Severity, Tier};

/// Options that choose and sort findings.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which findings: any of one option's values, and all options")]
pub(crate) struct Filters {
    /// Of this severity: error, warning, info, suggestion; may be repeated
    #[arg(long, short = 's', value_name = "SEVERITY", value_delimiter = ',')]
    severity: Vec<Severity>,
    /// Of this bot; may be repeated
    #[arg(long, short = 'b', value_name = "BOT", value_delimiter = ',')]
    bot: Vec<String>,
    /// Of the bots of this tier; may be repeated
    #[arg(long, value_name = "TIER", value_delimiter = ',')]
    tier: Vec<Tier>,
    /// In this category; may be repeated
    #[arg(long, short = 'c', value_name = "CATEGORY")]
    category: Vec<String>,
    /// Of this rule; may be repeated
    #[arg(long, short = 'r', value_name = "RULE")]
    rule: Vec<String>,
    /// In this file, or in this folder when it ends in `/`
    #[arg(long, short = 'f', value_name = "PATH")]
    file: Option<String>,
    /// With this text in message, path, rule or element, whatever its case
    #[arg(long, short = 't', value_name = "TEXT")]
    text: Option<String>,
    /// Suppressed ones too (all), or only those (suppressed)
    #[arg(long, value_name = "WHICH", num_args = 0..=1, default_missing_value = "suppressed")]
    suppressed: Option<Suppression>,
    /// Order: severity, path, rule, newest
    #[arg(long, value_name = "ORDER", default_value_t)]
    sort: Sort,
}

impl Filters {
    /// The query for them.
    ///
    /// # Errors
    /// `Error::Invalid` naming a bot that can be none.
    pub(crate) fn query(&self) -> Result<FindingsQuery> {
        Ok(FindingsQuery {
            tiers: self.tier.clone(),
            page: PageQuery {
                filter: Filter {
                    bots: self.bot.iter().map(BotId::new).collect::<Result<_>>()?,
                    severities: self.severity.clone(),
                    categories: self.category.clone(),
                    rules: self.rule.clone(),
                    file: self.file.clone().filter(|text| !text.is_empty()),
                    text: self.text.clone().filter(|text| !text.is_empty()),
                    suppression: self.suppressed.unwrap_or_default(),
                },
                sort: self.sort,
                ..PageQuery::default()
            },
        })
    }
}
