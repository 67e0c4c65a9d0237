//! Health, computed from everything each time.

use std::collections::HashMap;

use fleet_worker_sdk::Severity;

use super::{Bot, BotInfo, Context, Progress, Tier};

/// How well everything is.
#[derive(Clone, Debug)]
pub struct Health {
    /// 0-100.
    pub score: f64,
    /// In a word.
    pub status: String,
    /// Each tier.
    pub tiers: HashMap<Tier, TierHealth>,
    /// Each bot.
    pub bots: HashMap<Bot, f64>,
    /// Findings by severity.
    pub severities: [usize; 4],
    /// What somebody should look at.
    pub alerts: Vec<String>,
}

/// How well a tier is.
#[derive(Clone, Debug)]
pub struct TierHealth {
    /// 0-100.
    pub score: f64,
    /// Its bots.
    pub bots: usize,
    /// Those that failed.
    pub failed: usize,
}

impl Context {
    /// Everything, with what is unlike the rest.
    pub fn health(&self) -> Health {
        let bots: HashMap<Bot, f64> = self
            .executions
            .keys()
            .map(|bot| (*bot, self.bot_score(*bot)))
            .collect();
        let tiers = Tier::ALL
            .iter()
            .map(|tier| (*tier, self.tier_health(*tier, &bots)));
        let tiers: HashMap<Tier, TierHealth> = tiers.collect();
        let mut severities = [0; 4];
        for finding in &self.findings {
            severities[finding.severity as usize] += 1;
        }
        let mean = bots.values().sum::<f64>() / bots.len().max(1) as f64;
        let [errors, warnings, ..] = severities;
        let score = (mean - errors as f64 * 5.0 - warnings as f64).clamp(0.0, 100.0);
        let status = match score {
            80.0.. => "healthy",
            50.0.. => "degraded",
            _ => "critical",
        };
        let alerts = self.alerts(&tiers, severities);
        Health {
            score,
            status: status.to_owned(),
            tiers,
            bots,
            severities,
            alerts,
        }
    }

    fn bot_score(&self, bot: Bot) -> f64 {
        match self
            .executions
            .get(&bot)
            .map(|execution| execution.progress)
        {
            Some(Progress::Completed) => 100.0,
            Some(Progress::Failed) => 0.0,
            _ => 50.0,
        }
    }

    fn tier_health(&self, tier: Tier, bots: &HashMap<Bot, f64>) -> TierHealth {
        let members: Vec<Bot> = bots
            .keys()
            .copied()
            .filter(|bot| BotInfo::of(*bot).tier == tier)
            .collect();
        let scores: f64 = members.iter().filter_map(|bot| bots.get(bot)).sum();
        let failed = members.iter().filter(|bot| {
            self.executions
                .get(*bot)
                .is_some_and(|execution| execution.progress == Progress::Failed)
        });
        TierHealth {
            score: scores / members.len().max(1) as f64,
            failed: failed.count(),
            bots: members.len(),
        }
    }

    fn alerts(&self, tiers: &HashMap<Tier, TierHealth>, severities: [usize; 4]) -> Vec<String> {
        let mut alerts = Vec::new();
        for (tier, health) in tiers {
            if health.failed > 0 {
                alerts.push(format!("{} bots of {tier:?} failed", health.failed));
            }
        }
        let errors = severities[Severity::Error as usize];
        if errors > 0 {
            alerts.push(format!("{errors} errors are open"));
        }
        if errors * 2 > self.findings.len() {
            alerts.push(format!(
                "{errors} of {} findings are errors",
                self.findings.len()
            ));
        }
        alerts
    }
}
