//! Several Redis servers that hang together: a cluster, or a master with its replicas and Sentinels.

use super::Node;

/// Three masters that share the slots, each with as many replicas as asked for.
pub(crate) struct Cluster {
    /// The masters first.
    pub(crate) nodes: Vec<Node>,
}

const MASTERS: usize = 3;
/// How long a master may be silent before its replica stands in, in milliseconds.
const NODE_TIMEOUT: &str = "1000";

impl Cluster {
    /// Starts one, and returns when every node knows all others and takes writes.
    pub(crate) async fn start(replicas: usize) -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            NODE_TIMEOUT,
        ];
        let mut nodes = Vec::new();
        for _ in 0..MASTERS * (1 + replicas) {
            nodes.push(Node::start(&options).await);
        }
        let slots = 16_384 / MASTERS;
        for (n, node) in nodes.iter().enumerate() {
            let epoch = (n + 1).to_string();
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .await
                .unwrap();
            let first = nodes[0].port.to_string();
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &first])
                .await
                .unwrap();
            if n < MASTERS {
                let end = if n + 1 == MASTERS {
                    16_383
                } else {
                    (n + 1) * slots - 1
                };
                let (from, to) = ((n * slots).to_string(), end.to_string());
                node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &from, &to])
                    .await
                    .unwrap();
            }
        }
        let cluster = Self { nodes };
        cluster.settle().await;
        for (n, replica) in cluster.nodes.iter().enumerate().skip(MASTERS) {
            let master: String = cluster.nodes[n % MASTERS]
                .ask(&["CLUSTER", "MYID"])
                .await
                .unwrap();
            replica
                .ask::<()>(&["CLUSTER", "REPLICATE", &master])
                .await
                .unwrap();
            let linked = |info: &String| info.contains("master_link_status:up");
            replica.ask_until(&["INFO", "replication"], linked).await;
        }
        cluster
    }

    async fn settle(&self) {
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            let whole = |info: &String| info.contains("cluster_state:ok") && info.contains(&known);
            node.ask_until(&["CLUSTER", "INFO"], whole).await;
        }
    }

    /// Its address, by its first two nodes.
    pub(crate) fn url(&self) -> String {
        let (one, two) = (self.nodes[0].port, self.nodes[1].port);
        format!("redis+cluster://127.0.0.1:{one},127.0.0.1:{two}")
    }
}

/// A master, a replica of it and three Sentinels.
pub(crate) struct Sentinels {
    /// The master first, then its replica.
    pub(crate) nodes: Vec<Node>,
    pub(crate) watchers: Vec<Node>,
}

impl Sentinels {
    /// Starts them, and returns when each Sentinel knows the others and the replica.
    pub(crate) async fn start() -> Self {
        let master = Node::start(&[]).await;
        let port = master.port.to_string();
        let replica = Node::start(&["--replicaof", &format!("127.0.0.1 {port}")]).await;
        let linked = |info: &String| info.contains("master_link_status:up");
        replica.ask_until(&["INFO", "replication"], linked).await;
        let mut watchers = Vec::new();
        for _ in 0..3 {
            let watcher = Node::start(&["--sentinel"]).await;
            let said: &[&[&str]] = &[
                &["SENTINEL", "MONITOR", "main", "127.0.0.1", &port, "2"],
                &["SENTINEL", "SET", "main", "down-after-milliseconds", "500"],
                &["SENTINEL", "SET", "main", "failover-timeout", "3000"],
            ];
            for words in said {
                watcher.ask::<()>(words).await.unwrap();
            }
            watchers.push(watcher);
        }
        for watcher in &watchers {
            let knows = |info: &String| info.contains("slaves=1,sentinels=3");
            watcher.ask_until(&["INFO", "sentinel"], knows).await;
        }
        Self {
            nodes: vec![master, replica],
            watchers,
        }
    }

    /// Their address.
    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self
            .watchers
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("redis+sentinel://{}/main", nodes.join(","))
    }
}
