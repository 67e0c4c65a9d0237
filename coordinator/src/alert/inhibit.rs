//! What is not told because something that is told explains it.

use std::collections::BTreeSet;

use super::Known;
use super::board::Board;
use super::labels::{Labels, Name};
use super::silence::is_silenced;

/// Whether `cause`, while it fires, explains `effect`.
///
/// A tier that is down explains what its bots do; a store that is away explains that changes wait,
/// and that bots and workers were not heard; a graver alert explains a lighter one of the same name
/// about the same. A bot that fails at everything explains its rate of failures.
pub fn inhibits(cause: &Labels, effect: &Labels) -> bool {
    if cause == effect {
        return false;
    }
    let graver = cause.severity < effect.severity
        && cause.alertname == effect.alertname
        && cause.same_subject(effect);
    let explained = match cause.alertname {
        Name::TierDown => effect.bot.is_some() && effect.tier == cause.tier,
        Name::StoreUnreachable => matches!(
            effect.alertname,
            Name::Backlog | Name::BotSilent | Name::WorkerStuck
        ),
        Name::BotFailing => effect.alertname == Name::HighErrorRate && cause.same_subject(effect),
        _ => false,
    };
    graver || explained
}

/// The alerts on the board that nobody is told of now: silenced, or explained by one that fires.
/// A silenced alert still explains others: who silences a tier that is down does not want to hear
/// of its bots instead.
pub fn quiet(board: &Board, known: &Known<'_>) -> BTreeSet<Labels> {
    let firing = board.firing().map(|alert| &alert.labels);
    let causes: Vec<&Labels> = firing.chain(known.beside).collect();
    let is_quiet = |labels: &&Labels| {
        is_silenced(known.silences, labels, known.now)
            || causes.iter().any(|cause| inhibits(cause, labels))
    };
    let all = board.alerts().map(|alert| &alert.labels);
    all.filter(is_quiet).cloned().collect()
}

#[cfg(test)]
mod tests {
    use fleet_worker_sdk::Tier;

    use super::*;
    use crate::alert::labels::Severity::{Critical, Warning};

    #[test]
    fn what_explains_another_is_told_alone() {
        let (scan, lint) = ("scan".parse().unwrap(), "lint".parse().unwrap());
        let down = Labels::new(Name::TierDown, Critical).tier(Tier::Verifier);
        let of = |name, tier, bot| Labels::new(name, Warning).tier(tier).bot(bot);
        let failing = of(Name::BotFailing, Tier::Verifier, &scan);
        assert!(inhibits(&down, &failing));
        assert!(!inhibits(&down, &of(Name::BotFailing, Tier::Engine, &scan)));
        assert!(!inhibits(&failing, &down) && !inhibits(&down, &down));
        assert!(inhibits(
            &failing,
            &of(Name::HighErrorRate, Tier::Verifier, &scan)
        ));
        assert!(!inhibits(
            &failing,
            &of(Name::HighErrorRate, Tier::Verifier, &lint)
        ));
        let away = Labels::new(Name::StoreUnreachable, Critical);
        let behind = |severity| Labels::new(Name::Backlog, severity);
        assert!(inhibits(&away, &behind(Critical)));
        assert!(inhibits(&behind(Critical), &behind(Warning)));
        assert!(!inhibits(&behind(Warning), &behind(Critical)));
        assert!(!inhibits(
            &away,
            &Labels::new(Name::ResourceExhaustion, Warning)
        ));
    }
}
