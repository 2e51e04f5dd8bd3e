//! The text of /etc/resolv.conf: read from the node's, changed as the pod wishes, held to what resolvers
//! take. Pure.

use berth_core::manifest::types::DnsConfig;
use std::net::IpAddr;

/// Name servers; a C library looks at no more.
const NAMESERVERS_MAX: usize = 3;
/// Search domains.
const SEARCHES_MAX: usize = 32;
/// Bytes of all search domains with a space between.
const SEARCH_LEN_MAX_BYTES: usize = 2048;

/// What a resolver is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Resolver {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    /// For a node that is configured to have no file: a resolver on the loopback, or none.
    pub(super) fn local() -> Self {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Self { nameservers: owned(&["127.0.0.1", "::1"]), searches: owned(&["."]), options: Vec::new() }
    }

    /// Of the last `search` line only, as resolvers do; `options` of all lines.
    pub(super) fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.nameservers.extend(words.next().map(str::to_owned)),
                Some("search" | "domain") => resolver.searches = words.map(domain).collect(),
                Some("options") => {
                    for option in words {
                        if !resolver.options.iter().any(|known| known == option) {
                            resolver.options.push(option.to_owned());
                        }
                    }
                }
                // Comments (`#`, `;`), `sortlist`, and whatever else no pod is promised.
                _ => {}
            }
        }
        resolver
    }

    /// A cluster's: its name servers, its domains before the node's, and names with less than five dots
    /// looked up in them first.
    pub(super) fn of_cluster(self, servers: &[String], domain: &str, namespace: &str) -> Self {
        let own = match domain {
            "" => Vec::new(),
            domain => vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()],
        };
        let mut cluster =
            Self { nameservers: servers.to_vec(), searches: own, options: vec!["ndots:5".into()] };
        add(&mut cluster.searches, &self.searches);
        cluster
    }

    /// Ours: as a cluster's. Without a domain the names of pods are below `svc` alone, so that they are found before
    /// anybody else is asked.
    pub(super) fn of_pods(self, server: IpAddr, domain: &str, namespace: &str) -> Self {
        let mut pods = self.of_cluster(&[server.to_string()], domain, namespace);
        if domain.is_empty() {
            pods.searches.splice(0..0, [format!("{namespace}.svc"), "svc".to_owned()]);
        }
        pods
    }

    /// Of its servers those on the node's loopback: what answers there may ask ours in its turn, so ours does not ask it on
    /// the node's behalf.
    pub(super) fn on_the_node(&self) -> Vec<String> {
        let is_loopback =
            |server: &&String| server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.nameservers.iter().filter(is_loopback).cloned().collect()
    }

    /// These are asked when the others do not know.
    pub(super) fn ask_then(&mut self, servers: Vec<String>) {
        add(&mut self.nameservers, &servers);
    }

    /// What the pod adds, each once; an option of its own takes the place of one of that name.
    pub(super) fn add(&mut self, config: &DnsConfig) {
        add(&mut self.nameservers, &config.nameservers);
        let searches: Vec<String> = config.searches.iter().map(|name| domain(name)).collect();
        add(&mut self.searches, &searches);
        for option in &config.options {
            let value = option.value.as_deref().filter(|value| !value.is_empty());
            let text = value.map_or_else(|| option.name.clone(), |value| format!("{}:{value}", option.name));
            let of_name = |known: &&mut String| known.split(':').next() == Some(&option.name);
            match self.options.iter_mut().find(of_name) {
                Some(known) => *known = text,
                None => self.options.push(text),
            }
        }
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let searches = self.searches_within_limits();
        if !searches.is_empty() {
            text += &format!("search {}\n", searches.join(" "));
        }
        for server in self.nameservers.iter().take(NAMESERVERS_MAX) {
            text += &format!("nameserver {server}\n");
        }
        if !self.options.is_empty() {
            text += &format!("options {}\n", self.options.join(" "));
        }
        text
    }

    fn searches_within_limits(&self) -> Vec<&str> {
        let mut len = 0;
        let fits = |domain: &&str| {
            len += domain.len() + 1;
            len - 1 <= SEARCH_LEN_MAX_BYTES
        };
        self.searches.iter().map(String::as_str).take(SEARCHES_MAX).take_while(fits).collect()
    }
}

fn add(list: &mut Vec<String>, more: &[String]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// Without the dot at its end, which a search list does not need; the root stays.
fn domain(name: &str) -> String {
    if name == "." { name.to_owned() } else { name.strip_suffix('.').unwrap_or(name).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_core::manifest::types::DnsOption;

    #[test]
    fn the_nodes_file_is_understood_as_resolvers_do() {
        let text = "# a comment\n; another\nsearch old.example\nnameserver 10.0.0.1\n\
            nameserver\t10.0.0.2 # trailing\nsearch a.example. b.example .\n\
            options ndots:2 timeout:1\noptions timeout:1 rotate\nsortlist 10.0.0.0\n";
        assert_eq!(
            Resolver::parse(text).render(),
            "search a.example b.example .\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n\
             options ndots:2 timeout:1 rotate\n"
        );
        assert_eq!(Resolver::parse("").render(), "");
        assert_eq!(Resolver::local().render(), "search .\nnameserver 127.0.0.1\nnameserver ::1\n");
    }

    #[test]
    fn a_pod_adds_to_what_it_finds() {
        let option = |name: &str, value: Option<&str>| DnsOption {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let config = DnsConfig {
            nameservers: list("10.0.0.1 10.0.0.9"),
            searches: list("a.example b.example."),
            options: vec![option("ndots", Some("2")), option("edns0", None)],
        };
        let mut resolver = Resolver::parse("nameserver 10.0.0.1\nsearch a.example\noptions rotate ndots:1\n");
        resolver.add(&config);
        assert_eq!(
            resolver.render(),
            "search a.example b.example\nnameserver 10.0.0.1\nnameserver 10.0.0.9\noptions rotate ndots:2 edns0\n"
        );
        let cluster = Resolver::parse("nameserver 10.0.0.1\nsearch a.example\noptions rotate\n");
        assert_eq!(
            cluster.clone().of_cluster(&list("10.96.0.10"), "cluster.local", "shop").render(),
            "search shop.svc.cluster.local svc.cluster.local cluster.local a.example\nnameserver 10.96.0.10\n\
             options ndots:5\n"
        );
        assert_eq!(
            cluster.clone().of_cluster(&list("10.96.0.10"), "", "shop").render(),
            "search a.example\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
        let own: IpAddr = "10.86.0.1".parse().unwrap();
        assert_eq!(
            cluster.clone().of_pods(own, "", "shop").render(),
            "search shop.svc svc a.example\nnameserver 10.86.0.1\noptions ndots:5\n"
        );
        assert_eq!(
            cluster.of_pods(own, "cluster.local", "shop").render(),
            "search shop.svc.cluster.local svc.cluster.local cluster.local a.example\nnameserver 10.86.0.1\n\
             options ndots:5\n"
        );
    }

    #[test]
    fn what_resolvers_do_not_take_is_left_out() {
        let servers: String = (1..6).map(|n| format!("nameserver 10.0.0.{n}\n")).collect();
        assert_eq!(Resolver::parse(&servers).render().lines().count(), NAMESERVERS_MAX);
        let searched = |names: Vec<String>| {
            let text = Resolver::parse(&format!("search {}", names.join(" "))).render();
            text.split_whitespace().skip(1).count()
        };
        assert_eq!(searched((0..40).map(|n| format!("d{n}")).collect()), SEARCHES_MAX);
        // 8 × 255 + 7 spaces = 2047 fit, a ninth does not.
        assert_eq!(searched((0..10).map(|_| "d".repeat(255)).collect()), 8);
    }
}
