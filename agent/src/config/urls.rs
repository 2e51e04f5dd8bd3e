//! `staticPodURL`: an address, or a list of addresses, each as a text or with settings of its own. What is wrong with
//! one of them is for the source to tell; it keeps neither the agent nor the other sources from working. Pure.

use super::Period;
use berth_images::http;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

/// Addresses that are asked; the rest are refused.
pub(crate) const SOURCES_MAX_COUNT: usize = 16;
/// The shortest time between two requests.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// The longest that a request may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// A value that may be secret: it is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("(hidden)")
    }
}

/// Headers, by name, as kubelet's `staticPodURLHeader` has them.
pub(crate) type Headers = BTreeMap<String, Vec<Hidden>>;

/// One address with how it is asked. What is not given is as for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UrlSource {
    /// `http://` or `https://`.
    pub(crate) url: String,
    /// Sent beside `staticPodURLHeader`'s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: Headers,
    /// Time between requests; `httpCheckFrequency` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    check_frequency: Option<Period>,
    /// Up to so much longer, by chance, so that many boxes do not ask at one time.
    #[serde(default = "jitter_percent")]
    jitter_percent: u8,
    /// For all of a request and its answer.
    #[serde(default = "timeout")]
    timeout: Period,
    /// To find the address and to connect.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,
    /// Authorities to trust instead of the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    /// The client's certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_file: Option<PathBuf>,
    /// The key that belongs to it, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    /// `sha256//BASE64`: the server's key must be one of these, beside being trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pins: Vec<String>,
    /// The line of the configuration on which it stands, from 1; 0 if that is not known.
    #[serde(skip)]
    pub(crate) line: u32,
}

fn jitter_percent() -> u8 {
    10
}

/// kubelet's.
fn timeout() -> Period {
    Period::from_secs(10)
}

fn connect_timeout() -> Period {
    Period::from_secs(5)
}

impl UrlSource {
    fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            headers: Headers::new(),
            check_frequency: None,
            jitter_percent: jitter_percent(),
            timeout: timeout(),
            connect_timeout: connect_timeout(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            pins: Vec::new(),
            line: 0,
        }
    }

    /// How it is to be asked; `common`: headers for all.
    ///
    /// # Errors
    /// What is wrong with it. Files are not looked at.
    pub(crate) fn settings(&self, common: &Headers) -> Result<http::Settings, String> {
        let ranges = [
            (self.period(PERIOD_MIN) >= PERIOD_MIN, "checkFrequency must be 1s or more"),
            (self.jitter_percent <= 100, "jitterPercent must be 0 to 100"),
            (
                !self.timeout.0.is_zero() && self.timeout.0 <= TIMEOUT_MAX,
                "timeout must be more than 0s, and 10m or less",
            ),
            (!self.connect_timeout.0.is_zero(), "connectTimeout must be more than 0s"),
            (self.cert_file.is_some() == self.key_file.is_some(), "certFile and keyFile go together"),
            (
                self.paths().all(|path| path.is_absolute()),
                "caFile, certFile and keyFile must be absolute paths",
            ),
            (
                self.url.starts_with("https://") || self.paths().count() + self.pins.len() == 0,
                "caFile, certFile, keyFile and pins are for https://",
            ),
        ];
        if let Some((_, why)) = ranges.iter().find(|(right, _)| !right) {
            return Err((*why).to_owned());
        }
        http::check_url(&self.url)?;
        let pins = self.pins.iter().map(|pin| pin.parse()).collect::<Result<_, String>>()?;
        let pair = |(name, values): (&String, &Vec<Hidden>)| -> Vec<(String, String)> {
            values.iter().map(|value| (name.clone(), value.0.clone())).collect()
        };
        Ok(http::Settings {
            url: self.url.clone(),
            headers: common.iter().chain(&self.headers).flat_map(pair).collect(),
            timeout: self.timeout.0,
            connect_timeout: self.connect_timeout.0,
            ca_file: self.ca_file.clone(),
            client: self.cert_file.clone().zip(self.key_file.clone()),
            pins,
        })
    }

    /// Time between requests.
    pub(crate) fn period(&self, common: Duration) -> Duration {
        self.check_frequency.map_or(common, |period| period.0)
    }

    /// How much longer a wait may be, in percent.
    pub(crate) fn jitter_percent(&self) -> u8 {
        self.jitter_percent
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.ca_file, &self.cert_file, &self.key_file].into_iter().flatten()
    }
}

/// Addresses in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct UrlList(pub(crate) Vec<UrlSource>);

impl UrlList {
    /// Notes on which lines of the file the addresses stand, from the key's on.
    pub(super) fn locate(&mut self, text: &str, key_line: usize) {
        let mut from = key_line.max(1);
        for source in &mut self.0 {
            let rows = text.lines().enumerate().skip(from - 1);
            let found = rows.into_iter().find(|(_, row)| row.contains(source.url.as_str()));
            from = found.map_or(from, |(row, _)| row + 2);
            source.line = u32::try_from(found.map_or(0, |(row, _)| row + 1)).unwrap_or(0);
        }
    }
}

impl<'de> Deserialize<'de> for UrlList {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = UrlList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL, {url: …}, or a list of these")
    }

    // As kubelet has it, an empty text is no address.
    fn visit_str<E: de::Error>(self, url: &str) -> Result<UrlList, E> {
        Ok(UrlList(if url.is_empty() { Vec::new() } else { vec![UrlSource::new(url)] }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<UrlList, A::Error> {
        Ok(UrlList(vec![UrlSource::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<UrlList, A::Error> {
        let mut sources = Vec::new();
        while let Some(UrlList(one)) = list.next_element()? {
            sources.extend(one);
        }
        Ok(UrlList(sources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<UrlSource> {
        let UrlList(list) = serde_yaml::from_str(text).unwrap();
        list
    }

    #[test]
    fn one_or_many_with_or_without_settings() {
        let text =
            "- http://a/\n- {url: 'https://b/', checkFrequency: 1m, headers: {X: [secret]}, timeout: 3s}\n";
        for (text, urls) in [
            ("http://a/", vec!["http://a/"]),
            ("''", vec![]),
            ("{url: 'http://a/'}", vec!["http://a/"]),
            (text, vec!["http://a/", "https://b/"]),
        ] {
            assert_eq!(read(text).iter().map(|source| &*source.url).collect::<Vec<_>>(), urls, "{text}");
        }
        let sources = read(text);
        let settings = sources[1].settings(&Headers::new()).unwrap();
        assert_eq!(settings.headers, [("X".to_owned(), "secret".to_owned())]);
        assert_eq!((settings.timeout.as_secs(), sources[1].period(Duration::ZERO).as_secs()), (3, 60));
        assert!(!format!("{sources:?}").contains("secret"));
        assert!(!serde_json::to_string(&sources).unwrap().contains("secret"));
        for text in ["{url: 'http://a/', perid: 3s}", "3", "{}"] {
            serde_yaml::from_str::<UrlList>(text).unwrap_err();
        }
    }

    #[test]
    fn what_is_wrong_with_one_is_told() {
        for (more, why) in [
            ("checkFrequency: 10ms", "checkFrequency"),
            ("jitterPercent: 101", "jitterPercent"),
            ("timeout: 0s", "timeout"),
            ("certFile: /a", "go together"),
            ("caFile: ca.pem", "absolute"),
            ("pins: [sha256//x]", "is no pin"),
        ] {
            let source = &read(&format!("{{url: 'https://a/', {more}}}"))[0];
            let error = source.settings(&Headers::new()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let error = read("{url: 'http://a/', caFile: /ca.pem}")[0].settings(&Headers::new()).unwrap_err();
        assert!(error.contains("for https"), "{error}");
    }

    #[test]
    fn each_has_its_line() {
        let text = "maxPods: 3\nstaticPodURL:\n- http://a/\n- url: http://a/b\n  timeout: 3s\n- http://a/b\n";
        let config = crate::config::parse(std::path::Path::new("c"), text).unwrap();
        let lines: Vec<u32> = config.static_pod_u_r_l.0.iter().map(|source| source.line).collect();
        assert_eq!(lines, [3, 4, 6]);
    }
}
