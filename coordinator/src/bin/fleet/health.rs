//! `fleet health`: how well the fleet, a tier, a bot, a session or a repository is, and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use fleet_coordinator::answer::{HealthOf, RepositoryHealth};
use fleet_coordinator::health::{Explanation, Health as Scored, Part};
use fleet_coordinator::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};
use fleet_worker_sdk::{BotId, Repository, Tier};

use crate::asking::Asking;
use crate::choice;
use crate::exit::Stop;
use crate::look::{Look, Tone, line, score};
use crate::output::plain;
use crate::table::{Cell, Column, Table};

pub(crate) const EXAMPLES: &str = "\
A score is 100 minus the points its parts lose; what is unknown is left out, and the coverage says
how much was known. --explain lists the parts with their sums, and the formula with the numbers in
it, so that every score can be worked out by hand.

Examples:
  fleet health                             the fleet, its tiers and bots
  fleet health --bot semgrep --explain     where a bot's points went
  fleet health --session acme/shop         the latest session of a repository
  fleet health --repository acme/shop      its quality, as the fleet counts it
  fleet health --json | jq .health.score";

/// What `fleet health` is given.
#[derive(Args)]
pub(crate) struct Health {
    /// Of this bot
    #[arg(long, short = 'b', conflicts_with_all = ["tier", "session", "repository"])]
    bot: Option<BotId>,
    /// Of this tier, with its bots
    #[arg(long, conflicts_with_all = ["session", "repository"])]
    tier: Option<Tier>,
    /// Of this session: an id, a repository or `latest`
    #[arg(long, conflicts_with = "repository")]
    session: Option<String>,
    /// Of this repository: the quality of its latest session of which one is known
    #[arg(long, short = 'r', value_name = "NAME")]
    repository: Option<Repository>,
    /// List the parts of every score (value, weight, points lost and why) and how it is worked out
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Health {
    pub(crate) async fn run(self) -> Result<(), Stop> {
        if let Some(bot) = &self.bot {
            return self.bot(bot).await;
        }
        if let Some(tier) = self.tier {
            return self.tier(tier).await;
        }
        if let Some(session) = &self.session {
            return self.session(session).await;
        }
        if let Some(repository) = &self.repository {
            return self.repository(repository).await;
        }
        let reader = self.asking.reader()?;
        if self.explain {
            let answer = reader.explained_health().await?;
            let how = answer.explanation.as_ref().map(of_fleet);
            let shown = |look: &Look| Page::new(look, how).fleet(&answer.health);
            return self.asking.show(&answer, shown);
        }
        let answer = reader.health().await?;
        let shown = |look: &Look| fleet(&answer, look);
        self.asking.show(&answer, shown)
    }

    async fn bot(&self, bot: &BotId) -> Result<(), Stop> {
        let (reader, name) = (self.asking.reader()?, format!("bot {bot}"));
        if self.explain {
            let answer = reader.explained_bot(bot).await?;
            let how = answer.explanation.as_ref().map(|how| one(&name, how));
            let shown = |look: &Look| Page::new(look, how).of(&name, &answer.health);
            return self.asking.show(&answer, shown);
        }
        let answer = reader.bot_health(bot).await?;
        let shown = |look: &Look| Page::new(look, None).of(&name, &answer);
        self.asking.show(&answer, shown)
    }

    async fn tier(&self, tier: Tier) -> Result<(), Stop> {
        let (reader, name) = (self.asking.reader()?, format!("tier {tier}"));
        if self.explain {
            let answer = reader.explained_tier(tier).await?;
            let how = answer.explanation.as_ref().map(|how| one(&name, how));
            let shown = |look: &Look| Page::new(look, how).of(&name, &answer.health);
            return self.asking.show(&answer, shown);
        }
        let answer = reader.tier_health(tier).await?;
        let shown = |look: &Look| Page::new(look, None).of(&name, &answer);
        self.asking.show(&answer, shown)
    }

    async fn session(&self, session: &str) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        let session = choice::session(&*reader, Some(session)).await?;
        if self.explain {
            let answer = reader.explained_session(&session).await?;
            let how = answer.explanation.as_ref();
            let how = how.map(|how| of_session(&answer.health, how));
            let shown = |look: &Look| Page::new(look, how).session(&answer.health);
            return self.asking.show(&answer, shown);
        }
        let answer = reader.session_health(&session).await?;
        let shown = |look: &Look| Page::new(look, None).session(&answer);
        self.asking.show(&answer, shown)
    }

    async fn repository(&self, repository: &Repository) -> Result<(), Stop> {
        let reader = self.asking.reader()?;
        let answer = reader.repository_health(repository, self.explain).await?;
        let name = format!("repository {repository}");
        let how = answer.explanation.as_ref().map(|how| one(&name, how));
        let shown = |look: &Look| Page::new(look, how).repository(&name, &answer.health);
        self.asking.show(&answer, shown)
    }
}

/// The fleet's health as text, without the parts.
pub(crate) fn fleet(fleet: &FleetHealth, look: &Look) -> String {
    Page::new(look, None).fleet(fleet)
}

/// How scores were made, by the name they are shown under.
type How = BTreeMap<String, Explanation>;

fn one(name: &str, how: &Explanation) -> How {
    [(name.to_owned(), how.clone())].into()
}

fn of_fleet(how: &FleetExplanation) -> How {
    let tiers = how.tiers.iter();
    let tiers = tiers.map(|(tier, how)| (format!("tier {tier}"), how.clone()));
    let bots = how.bots.iter();
    let bots = bots.map(|(bot, how)| (format!("bot {bot}"), how.clone()));
    let fleet = std::iter::once(("fleet".to_owned(), how.fleet.clone()));
    fleet.chain(tiers).chain(bots).collect()
}

fn of_session(session: &SessionHealth, how: &SessionExplanation) -> How {
    [
        (format!("session {}", session.session), how.health.clone()),
        (EXECUTIONS.to_owned(), how.executions.clone()),
        (QUALITY.to_owned(), how.quality.clone()),
    ]
    .into()
}

const EXECUTIONS: &str = "executions";
const QUALITY: &str = "quality";

const SCORES: [Column; 5] = [
    Column::new("OF").cut(12),
    Column::new("SCORE").right(),
    Column::new("STATUS"),
    Column::new("KNOWN").right().rank(1),
    Column::new("WHY").cut(20).rank(2),
];

const PARTS: [Column; 5] = [
    Column::new("  PART").cut_start(10),
    Column::new("VALUE").right(),
    Column::new("WEIGHT").right(),
    Column::new("LOST").right(),
    Column::new("WHY").cut(20).rank(1),
];

/// Health as text: one score in full, others in a table, or each with its parts.
struct Page<'a> {
    look: &'a Look,
    how: Option<How>,
    text: String,
}

impl<'a> Page<'a> {
    fn new(look: &'a Look, how: Option<How>) -> Self {
        Self {
            look,
            how,
            text: String::new(),
        }
    }

    fn fleet(mut self, fleet: &FleetHealth) -> String {
        self.head("fleet", &fleet.health, fleet.stale);
        let tiers = fleet.tiers.iter();
        let tiers = tiers.map(|(tier, health)| (format!("tier {tier}"), health));
        let bots = fleet.bots.iter();
        let bots = bots.map(|(bot, health)| (format!("bot {bot}"), health));
        self.others(tiers.chain(bots).collect());
        self.text
    }

    fn of(mut self, name: &str, of: &HealthOf) -> String {
        self.head(name, &of.health, of.stale);
        let bots = of.bots.iter();
        self.others(
            bots.map(|(bot, health)| (format!("bot {bot}"), health))
                .collect(),
        );
        self.text
    }

    fn session(mut self, session: &SessionHealth) -> String {
        let name = format!("session {}", session.session);
        self.head(&name, &session.health, session.stale);
        self.others(vec![
            (EXECUTIONS.to_owned(), &session.executions),
            (QUALITY.to_owned(), &session.quality),
        ]);
        self.text
    }

    fn repository(mut self, name: &str, of: &RepositoryHealth) -> String {
        self.head(name, &of.health, of.stale);
        let git_ref = match of.git_ref.as_str() {
            "" => String::new(),
            git_ref => format!(" of {}", line(git_ref)),
        };
        let _ = writeln!(self.text, "  by session {}{git_ref}", of.session);
        self.text
    }

    /// A score with its reason.
    fn head(&mut self, name_of: &str, health: &Scored, stale: bool) {
        let status = self.look.paint(
            Tone::of_status(health.status),
            &format!("{} {}", score(health), health.status),
        );
        let name = self.look.paint(Tone::Strong, name_of);
        let known = health.coverage * 100.0;
        let _ = writeln!(self.text, "{name}  {status}  {known:.0} % known");
        if stale {
            let note = "the store is away: this is what was known last";
            let _ = writeln!(self.text, "  {}", self.look.paint(Tone::Bad, note));
        }
        let _ = writeln!(self.text, "  {}", plain(&health.reason));
        if self.how.is_some() {
            self.parts(health);
            self.sum(name_of);
        }
    }

    /// How the score called `name` is worked out by hand.
    fn sum(&mut self, name: &str) {
        let Some(how) = self.how.as_ref().and_then(|how| how.get(name)) else {
            return;
        };
        for text in [&how.formula, &how.arithmetic, &how.status] {
            let _ = writeln!(self.text, "  {}", plain(text));
        }
    }

    fn others(&mut self, others: Vec<(String, &Scored)>) {
        if others.is_empty() {
            return;
        }
        if self.how.is_some() {
            for (name, health) in others {
                self.text.push('\n');
                self.head(&name, health, false);
            }
            return;
        }
        let rows: Vec<_> = others
            .iter()
            .map(|(name, health)| row(name, health))
            .collect();
        self.text.push('\n');
        self.text += &Table::new(self.look, &SCORES).rows(&rows);
    }

    /// The parts of a score and their sum, to be followed by hand.
    fn parts(&mut self, health: &Scored) {
        if health.breakdown.is_empty() {
            return;
        }
        let mut rows: Vec<_> = health.breakdown.iter().map(part).collect();
        let sum = |value: fn(&Part) -> f64| health.breakdown.iter().map(value).sum::<f64>();
        let lost = sum(|part| part.points_lost);
        let ends = match health.score {
            Some(score) => format!("100 - {lost:.2} = {score:.2}"),
            None => "nothing is known, so there is no score".to_owned(),
        };
        rows.push(vec![
            Cell::toned("  sum", Tone::Strong),
            Cell::default(),
            format!("{:.3}", sum(|part| part.weight)).into(),
            Cell::toned(format!("{lost:.2}"), Tone::Strong),
            Cell::toned(ends, Tone::Strong),
        ]);
        self.text += &Table::new(self.look, &PARTS).rows(&rows);
    }
}

fn row(name: &str, health: &Scored) -> Vec<Cell> {
    let tone = Tone::of_status(health.status);
    vec![
        name.into(),
        Cell::toned(score(health), tone),
        Cell::toned(health.status.as_str(), tone),
        format!("{:.0} %", health.coverage * 100.0).into(),
        line(&health.reason).into(),
    ]
}

fn part(part: &Part) -> Vec<Cell> {
    let value = part.value.map(|value| format!("{value:.2}"));
    let tone = if part.value.is_none() {
        Tone::Faint
    } else {
        Tone::Plain
    };
    vec![
        Cell::toned(format!("  {}", plain(&part.part)), tone),
        Cell::toned(value.unwrap_or_else(|| "unknown".to_owned()), tone),
        Cell::toned(format!("{:.3}", part.weight), tone),
        Cell::toned(format!("{:.2}", part.points_lost), tone),
        Cell::toned(line(&part.why), tone),
    ]
}

#[cfg(test)]
mod tests {
    use fleet_coordinator::answer::Explain;
    use fleet_coordinator::health::Status;

    use super::*;

    #[test]
    fn a_score_is_explained_so_that_it_adds_up() {
        let part = |name: &str, value, weight, points_lost| Part {
            part: name.to_owned(),
            value,
            weight,
            points_lost,
            why: format!("why {name}\u{1b}[31m"),
            link: None,
        };
        let health = Scored {
            score: Some(80.0),
            status: Status::Degraded,
            reason: "because".to_owned(),
            coverage: 0.75,
            breakdown: vec![
                part("success", Some(75.0), 0.8, 20.0),
                part("freshness", Some(100.0), 0.2, 0.0),
                part("output", None, 0.0, 0.0),
            ],
            ..Scored::unknown("")
        };
        let of = HealthOf {
            health,
            bots: std::collections::BTreeMap::new(),
            stale: true,
        };
        let settings = fleet_coordinator::health::Settings::default();
        let how = one("bot gosec", &of.explanation(&settings));
        let text = Page::new(&Look::default(), Some(how)).of("bot gosec", &of);
        let (table, sum) = text.split_at(text.find("  the mean of").unwrap());
        assert_eq!(
            table,
            "bot gosec  80.0 degraded  75 % known\n\
             \u{20} the store is away: this is what was known last\n\
             \u{20} because\n\
             \u{20} PART         VALUE  WEIGHT   LOST  WHY\n\
             \u{20} success      75.00   0.800  20.00  why success\\u{1b}[31m\n\
             \u{20} freshness   100.00   0.200   0.00  why freshness\\u{1b}[31m\n\
             \u{20} output     unknown   0.000   0.00  why output\\u{1b}[31m\n\
             \u{20} sum                  1.000  20.00  100 - 20.00 = 80.00\n"
        );
        let lines: Vec<&str> = sum.lines().map(str::trim).collect();
        assert_eq!(lines.len(), 3, "{sum}");
        assert_eq!(lines[1], "75 x 0.8 + 100 x 0.2 = 80");
        assert!(lines[2].contains("75 % of the weight is known"), "{sum}");
    }
}
