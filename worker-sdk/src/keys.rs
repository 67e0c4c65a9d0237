//! Every key name, with its type, who writes it and who reads it. No other file makes one.
//!
//! Keys of a partition carry its hash tag, `{p7}`, so that a function finds all of a session's
//! keys in one slot; what belongs to the whole fleet carries `{ctl}`. Outside strings reach a key
//! name only as a checked id or as a hash.

use crate::error::{Error, Result};
use crate::ids::{BotId, Partition, ProducerId, Repository, SessionId, WorkerId};
use crate::session::OpenSession;

/// The namespace used unless one is given.
pub const DEFAULT_NAMESPACE: &str = "fleet";

/// Version of the layout below. A client refuses a fleet of another one.
pub const SCHEMA_VERSION: u32 = 1;

/// Makes the key names of one fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    namespace: String,
}

/// All keys of one session, in the order in which functions take them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// HASH; see [`Keys::session`].
    pub session: String,
    /// STREAM; see [`Keys::log`].
    pub log: String,
    /// ZSET; see [`Keys::index`].
    pub index: String,
    /// STRING; see [`Keys::packed`].
    pub packed: String,
    /// HASH; see [`Keys::counts`].
    pub counts: String,
    /// HASH; see [`Keys::rules`].
    pub rules: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
        }
    }
}

impl Keys {
    /// Keys in `namespace`, `[A-Za-z0-9._-]{1,64}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the namespace is not of that form.
    pub fn new(namespace: &str) -> Result<Self> {
        match BotId::new(namespace) {
            Ok(_) => Ok(Self {
                namespace: namespace.to_owned(),
            }),
            Err(Error::Invalid { why, .. }) => Err(Error::invalid("namespace", why)),
            Err(other) => Err(other),
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn control(&self, name: &str) -> String {
        format!("{}:{{ctl}}:{name}", self.namespace)
    }

    fn partition(&self, partition: Partition, name: &str) -> String {
        format!("{}:{{p{}}}:{name}", self.namespace, partition.0)
    }

    /// HASH: schema version, partitions. Written once by the coordinator that creates the fleet;
    /// read by every client when it connects.
    pub fn meta(&self) -> String {
        self.control("meta")
    }

    /// HASH: bot -> its registration as JSON. Written by workers; read by all.
    pub fn bots(&self) -> String {
        self.control("bots")
    }

    /// ZSET: worker -> last heartbeat in milliseconds, Redis time. Written by `fleet_beat`, pruned
    /// by coordinators; read by coordinators and dashboards.
    pub fn workers(&self) -> String {
        self.control("workers")
    }

    /// HASH: the health of the fleet, its tiers and bots as JSON, and its version. Written by
    /// `fleet_keep`; read by coordinators and dashboards.
    pub fn fleet_health(&self) -> String {
        self.control("health")
    }

    /// HASH: `board`, the alerts and who was told of them, as JSON; `version`, which changes with it
    /// and with the silences. Written by `fleet_raise`, `fleet_silence`; read by `fleet_alerts`.
    pub fn alerts(&self) -> String {
        self.control("alerts")
    }

    /// HASH: silence -> its end in milliseconds, a space, it as JSON; 256 at most. Written by
    /// `fleet_silence`; read by `fleet_alerts`.
    pub fn silences(&self) -> String {
        self.control("silences")
    }

    /// STREAM: deliveries of alerts that wait (channel `c`, JSON `d`), 256 at most. Written by
    /// `fleet_raise` and `fleet_revive`; taken by `fleet_claim` and `fleet_delivered`.
    pub fn outbox(&self) -> String {
        self.control("outbox")
    }

    /// HASH: channel -> who has its first delivery, and until when. Written by `fleet_claim` and
    /// `fleet_delivered`.
    pub fn claims(&self) -> String {
        self.control("outbox:claims")
    }

    /// STREAM: deliveries of alerts that were given up, with attempts `n` and the reason `w`; the
    /// latest 256. Written by `fleet_delivered`, `fleet_claim` and `fleet_raise`; taken by
    /// `fleet_revive`.
    pub fn undelivered(&self) -> String {
        self.control("outbox:dead")
    }

    /// STREAM: who did what, the latest 10,000. Written by `fleet_silence` and `fleet_revive`; read
    /// by dashboards.
    pub fn audit(&self) -> String {
        self.control("audit")
    }

    /// HASH: session -> what is wrong with its numbers, as JSON, 256 at most. Written by
    /// `fleet_mismatch` and coordinators; read by coordinators and dashboards.
    pub fn conservation(&self) -> String {
        self.control("conservation")
    }

    /// HASH: what a worker last said, its progress time and pending command. Written by
    /// `fleet_beat` and `fleet_command`; read by coordinators and dashboards. Expires a day after
    /// the last beat.
    pub fn worker(&self, worker: &WorkerId) -> String {
        self.control(&format!("worker:{worker}"))
    }

    /// HASH: bot -> its series as MessagePack, `<bot>:last` -> the last run applied to it. Written
    /// by `fleet_advance`; read by coordinators and dashboards.
    pub fn series(&self) -> String {
        self.control("series")
    }

    /// ZSET: anomaly -> its time in milliseconds, the latest 256. Written by `fleet_advance`,
    /// `fleet_note` and `fleet_amend`; read by `fleet_anomalies`.
    pub fn anomalies(&self) -> String {
        self.control("anomalies")
    }

    /// HASH: anomaly -> it as JSON, of each in [`Keys::anomalies`]. Written and read with it.
    pub fn anomaly_bodies(&self) -> String {
        self.control("anomalies:bodies")
    }

    /// LIST: points of the fleet's score (milliseconds, score, status), latest last, 512 at most.
    /// Written by `fleet_point`; read by dashboards.
    pub fn fleet_history(&self) -> String {
        self.control("history")
    }

    /// LIST: points of a bot's score, as [`Keys::fleet_history`].
    pub fn bot_history(&self, bot: &BotId) -> String {
        self.control(&format!("history:{bot}"))
    }

    /// LIST: points of a repository's quality, as [`Keys::fleet_history`].
    pub fn repository_history(&self, partition: Partition, repository: &Repository) -> String {
        self.partition(partition, &format!("r:{repository}:history"))
    }

    /// HASH: last sequence of a producer and the answer to it. Written by every sequenced
    /// function; read on reconnect. Expires 7 days after its last use.
    pub fn producer(&self, partition: Partition, producer: &ProducerId) -> String {
        self.partition(partition, &format!("producer:{producer}"))
    }

    /// STREAM, group [`Keys::GROUP`]: one entry an accepted change (session, version). Written by
    /// every function that changes a session; consumed by coordinators; trimmed.
    pub fn feed(&self, partition: Partition) -> String {
        self.partition(partition, "feed")
    }

    /// The consumer group of coordinators on every feed.
    pub const GROUP: &'static str = "coordinators";

    /// ZSET: session -> last change in milliseconds, Redis time. Written with every change; read
    /// by lists and by the resync.
    pub fn sessions(&self, partition: Partition) -> String {
        self.partition(partition, "sessions")
    }

    /// STRING: the session of (repository, ref, commit, run). Written by `fleet_open`.
    pub fn open(&self, partition: Partition, open: &OpenSession) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [
            open.repository.as_str(),
            &open.git_ref,
            &open.commit,
            &open.run,
        ] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        let hash = hasher.finalize().to_hex();
        self.opened(partition, hash.get(..32).unwrap_or_default())
    }

    /// [`Keys::open`] of what has this hash.
    pub(crate) fn opened(&self, partition: Partition, hash: &str) -> String {
        self.partition(partition, &format!("open:{hash}"))
    }

    /// HASH: the session: repository, ref, commit, run, times, executions, version, generation,
    /// totals, health. Written by every function of the session; read by all.
    pub fn session(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}"))
    }

    /// STREAM: batches of new findings and repeats, in order; never trimmed while the session
    /// lives. Written by `fleet_push`; folded by readers. `fleet_compact` puts another in its place:
    /// the same in few compressed entries, the session's next generation.
    pub fn log(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}:log"))
    }

    /// ZSET: fingerprint (16 bytes) -> severity rank and order, of what came since the last
    /// compaction. Written by `fleet_push`, taken away by `fleet_compact`.
    pub fn index(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}:index"))
    }

    /// STRING: the fingerprints that the session had when it was compacted, ascending, 16 bytes
    /// each. With [`Keys::index`] the members of the session. Written by `fleet_compact`; searched
    /// by `fleet_push`.
    pub fn packed(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}:packed"))
    }

    /// STREAM and STRING: a log and packed fingerprints in the making, `token` a random number of
    /// the one who makes them. Written by compaction, renamed by `fleet_compact`; they expire.
    pub fn compacting(&self, session: &SessionId, token: u128) -> [String; 2] {
        ["log", "packed"].map(|name| {
            let name = format!("s:{session}:new:{token:032x}:{name}");
            self.partition(session.partition(), &name)
        })
    }

    /// ZSET and HASH: an index and counters in the making, `token` a random number of the one who
    /// makes them. Written by a repair, renamed by `fleet_repair`; they expire.
    pub fn mending(&self, session: &SessionId, token: u128) -> [String; 2] {
        ["index", "counts"].map(|name| {
            let name = format!("s:{session}:mend:{token:032x}:{name}");
            self.partition(session.partition(), &name)
        })
    }

    /// HASH: findings by bot and severity (`b`), category (`c`), weight class and rule (`w`);
    /// see [`count`]. Written by `fleet_push`; read for health.
    pub fn counts(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}:counts"))
    }

    /// HASH: rule -> its texts as JSON, once a session. Written by `fleet_push`; read with a fold.
    pub fn rules(&self, session: &SessionId) -> String {
        self.partition(session.partition(), &format!("s:{session}:rules"))
    }

    /// All keys of a session.
    pub fn of_session(&self, session: &SessionId) -> SessionKeys {
        SessionKeys {
            session: self.session(session),
            log: self.log(session),
            index: self.index(session),
            packed: self.packed(session),
            counts: self.counts(session),
            rules: self.rules(session),
        }
    }

    /// HASH: the partition's sums for the fleet's health. Written by `fleet_push`, `fleet_open`
    /// and `fleet_derive`; read by dashboards and coordinators.
    pub fn rollup(&self, partition: Partition) -> String {
        self.partition(partition, "rollup")
    }

    /// STREAM: one entry a finished execution of `bot` in this partition, latest 256. Written by
    /// the completing transition; folded into the bot's series.
    pub fn runs(&self, partition: Partition, bot: &BotId) -> String {
        self.partition(partition, &format!("runs:{bot}"))
    }

    /// HASH: the latest-opened session of a repository whose quality is known, and that quality
    /// with its band.
    /// Written by `fleet_derive`; part of the rollup.
    pub fn repository_quality(&self, partition: Partition, repository: &Repository) -> String {
        self.partition(partition, &format!("r:{repository}:quality"))
    }

    /// HASH: scope (repository, bot, ref) -> last complete session, what the next one is compared
    /// with. Written by the completing transition; read by imports.
    pub fn baselines(&self, partition: Partition) -> String {
        self.partition(partition, "baselines")
    }

    /// STRING: when a process last looked whether the partition's server takes writes. Written by
    /// readiness probes; expires.
    pub fn probe(&self, partition: Partition) -> String {
        self.partition(partition, "probe")
    }

    /// STREAM: dead letters, which are batches that cannot be read and changes handed out too
    /// often, each with its reason and source. Written by `fleet_quarantine`, `fleet_give_up` and
    /// `fleet_requeue`; read by `fleet_letters`.
    pub fn dead(&self, partition: Partition) -> String {
        self.partition(partition, "dead")
    }

    /// The names of keys of a kind, as patterns of an access list: ids and repositories have no `:` or `{` in them,
    /// so that none of these takes in another kind.
    pub fn patterns(&self, touches: Touches) -> Vec<String> {
        let ns = &self.namespace;
        let control = |name: &&str| format!("{ns}:{{ctl}}:{name}");
        let partition = |name: &&str| format!("{ns}:{{p*}}:{name}");
        match touches {
            Touches::Everything => vec![format!("{ns}:{{*")],
            Touches::Meta => vec![self.meta()],
            Touches::Pushed => ["bots", "workers", "worker:*"]
                .iter()
                .map(control)
                .chain(
                    [
                        "open:*",
                        "s:*",
                        "sessions",
                        "feed",
                        "rollup",
                        "producer:*",
                        "runs:*",
                        "baselines",
                    ]
                    .iter()
                    .map(partition),
                )
                .collect(),
            Touches::Served => ["alerts", "silences", "outbox", "outbox:dead", "audit"]
                .iter()
                .map(control)
                .chain(["dead", "probe"].iter().map(partition))
                .collect(),
        }
    }

    /// Pub/sub channel of [hints](crate::keys) of what changed: never the truth. Published by
    /// functions; heard by dashboards and coordinators.
    pub fn updates(&self) -> String {
        format!("{}:updates", self.namespace)
    }
}

/// Keys that a kind of client touches; see [`Keys::patterns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touches {
    /// All of the fleet's.
    Everything,
    /// What says how many partitions there are.
    Meta,
    /// What bots write: sessions with all that is theirs, producers, runs, workers.
    Pushed,
    /// What a dashboard writes beyond what it takes for bots: letters that it cannot read, and
    /// its readiness, and what people do about alerts.
    Served,
}

/// The field of [`Keys::baselines`] that holds a scope.
pub fn baseline_field(repository: &Repository, bot: &BotId, git_ref: &str) -> String {
    format!("{repository} {bot} {git_ref}")
}

/// Field names of the counts hash.
pub mod count {
    use crate::ids::BotId;
    use crate::severity::{Severity, WeightClass};

    /// Findings of a bot with a severity; `None`: suppressed ones, of any severity.
    pub fn bot(bot: &BotId, severity: Option<Severity>) -> String {
        format!(
            "b:{}:{bot}",
            severity.map_or("suppressed", Severity::as_str)
        )
    }

    /// Open findings of a category.
    pub fn category(category: &str) -> String {
        format!("c:{category}")
    }

    /// Open findings of a rule in a weight class.
    pub fn rule(class: WeightClass, rule: &str) -> String {
        format!("w:{class}:{rule}")
    }

    /// What a field counts.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Field<'a> {
        /// A bot's findings of a severity; `None`: suppressed.
        Bot(&'a str, Option<Severity>),
        /// A category's open findings.
        Category(&'a str),
        /// A rule's open findings in a weight class.
        Rule(WeightClass, &'a str),
    }

    /// Reads a field name back.
    pub fn parse(field: &str) -> Option<Field<'_>> {
        let (kind, rest) = field.split_once(':')?;
        match kind {
            "c" => Some(Field::Category(rest)),
            "b" => match rest.split_once(':')? {
                ("suppressed", bot) => Some(Field::Bot(bot, None)),
                (severity, bot) => Some(Field::Bot(bot, Some(severity.parse().ok()?))),
            },
            "w" => {
                let (class, rule) = rest.split_once(':')?;
                Some(Field::Rule(class.parse().ok()?, rule))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::count::Field;
    use super::*;
    use crate::severity::{Severity, WeightClass};

    #[test]
    fn keys_of_a_session_lie_in_its_slot() {
        let keys = Keys::default();
        let session = SessionId::fresh(Partition(7));
        let all = keys.of_session(&session);
        let [log, packed] = keys.compacting(&session, 7);
        let own = [
            &all.session,
            &all.log,
            &all.index,
            &all.packed,
            &all.counts,
            &all.rules,
            &log,
            &packed,
        ];
        for key in own {
            assert!(key.starts_with("fleet:{p7}:s:p7-"), "{key}");
        }
    }

    #[test]
    fn an_open_key_depends_on_every_part() {
        let keys = Keys::default();
        let base = OpenSession::new("acme/shop").unwrap();
        let others = [
            OpenSession::new("acme/shop2").unwrap(),
            base.clone().git_ref("main"),
            base.clone().commit("main"),
            base.clone().run("main"),
        ];
        let made: std::collections::HashSet<_> = others
            .iter()
            .chain([&base])
            .map(|open| keys.open(Partition(1), open))
            .collect();
        assert_eq!(made.len(), 5);
    }

    #[test]
    fn count_fields_read_back() {
        let bot = BotId::new("semgrep").unwrap();
        assert_eq!(
            count::parse(&count::bot(&bot, Some(Severity::Error))),
            Some(Field::Bot("semgrep", Some(Severity::Error)))
        );
        assert_eq!(
            count::parse(&count::bot(&bot, None)),
            Some(Field::Bot("semgrep", None))
        );
        assert_eq!(
            count::parse(&count::rule(WeightClass::Critical, "a:b:c")),
            Some(Field::Rule(WeightClass::Critical, "a:b:c"))
        );
        assert_eq!(count::parse("w:nothing:x"), None);
    }

    #[test]
    fn a_namespace_cannot_move_a_slot() {
        assert!(Keys::new("a{b}").is_err());
        assert!(Keys::new("fleet-2").is_ok());
    }
}
