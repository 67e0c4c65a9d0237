//! Query parameters: read once, known by name, repeated ones mean "any of".

use std::str::FromStr;

use fleet_worker_sdk::Error;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::problem::Problem;

/// Most parameters of one request: every filter a person can click together, many times over.
const MAX_PARAMETERS: usize = 64;
/// Longest value of a parameter, in bytes: the longest rule id or path that is stored.
const MAX_VALUE: usize = 4096;

/// The parameters of a request, in the order given; empty values are left out, as a form sends
/// them for every field not filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `raw` and refuses every name that is not among `known`.
    pub(crate) fn parse(raw: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == MAX_PARAMETERS {
                let why = format!("more than {MAX_PARAMETERS} parameters");
                return Err(Problem::invalid("query", why));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode("query", name)?;
            if !known.contains(&name.as_str()) {
                let why = match known {
                    [] => "this path takes no parameters".to_owned(),
                    _ => format!("unknown parameter; known are {}", known.join(", ")),
                };
                return Err(Problem::invalid(
                    format!("query parameter {}", shown(&name)),
                    why,
                ));
            }
            let value = decode(&name, value)?;
            if value.len() > MAX_VALUE {
                let why = format!("it is {} bytes long, the limit is {MAX_VALUE}", value.len());
                return Err(Problem::invalid(format!("query parameter `{name}`"), why));
            }
            if !value.is_empty() {
                pairs.push((name, value));
            }
        }
        Ok(Self(pairs))
    }

    /// Every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The value of `name`; given twice is refused, as one would be ignored.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::invalid(
                format!("query parameter `{name}`"),
                "it is given more than once",
            )),
            (value, None) => Ok(value),
        }
    }

    /// The value of `name`, read as a `T`.
    pub(crate) fn read<T>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let value = self.one(name)?;
        value.map(|text| read(name, text)).transpose()
    }

    /// Every value of `name`, read as a `T`.
    pub(crate) fn read_all<T>(&self, name: &str) -> Result<Vec<T>, Problem>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        self.all(name).map(|text| read(name, text)).collect()
    }

    /// A count between 1 and `max`, or `default`.
    pub(crate) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        match self.read::<usize>("limit")? {
            None => Ok(default),
            Some(limit) if (1..=max).contains(&limit) => Ok(limit),
            Some(limit) => Err(Problem::invalid(
                "query parameter `limit`",
                format!("{limit} is not between 1 and {max}"),
            )),
        }
    }

    /// The parameters as a query string again, without those in `drop`.
    pub(crate) fn without(&self, drop: &[&str]) -> String {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| !drop.contains(&name.as_str()));
        let parts: Vec<_> = kept
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        parts.join("&")
    }
}

/// A value as it stands in a query or path.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A part of a path or query, decoded; `+` is a space in queries, and never part of an id.
fn decode(what: &str, text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Problem::invalid(what, "it is not UTF-8")),
    }
}

/// An id from a path segment: decoded, then checked by its type, which names the fault.
pub(crate) fn id<T: FromStr<Err = Error>>(segment: &str) -> Result<T, Problem> {
    let text = percent_decode_str(segment).decode_utf8();
    let text = text.map_err(|_| Problem::invalid("path", "it is not UTF-8"))?;
    text.parse().map_err(Problem::from)
}

fn read<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| {
        Problem::invalid(format!("query parameter `{name}`"), error.to_string())
    })
}

fn shown(name: &str) -> String {
    format!("`{}`", name.chars().take(64).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repeated_parameters_are_any_of_and_empty_ones_absent() {
        let query =
            Query::parse("bot=a&bot=b&text=&file=a%2Fb+c", &["bot", "text", "file"]).unwrap();
        assert_eq!(query.all("bot").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(query.one("text").unwrap(), None);
        assert_eq!(query.one("file").unwrap(), Some("a/b c"));
        assert!(query.one("bot").is_err(), "one value would be ignored");
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_known_ones() {
        let problem = Query::parse("botz=a", &["bot", "tier"]).unwrap_err();
        let detail = problem.detail();
        assert!(
            detail.contains("botz") && detail.contains("bot, tier"),
            "{detail}"
        );
    }

    #[test]
    fn a_limit_outside_its_range_names_the_range() {
        for bad in ["0", "501", "-1", "x"] {
            let query = Query::parse(&format!("limit={bad}"), &["limit"]).unwrap();
            assert!(query.limit(50, 500).is_err(), "{bad}");
        }
        assert_eq!(Query::default().limit(50, 500).unwrap(), 50);
    }

    proptest! {
        #[test]
        fn a_value_survives_a_round_trip(value in "\\PC{1,40}") {
            let query = Query(vec![("text".to_owned(), value)]);
            prop_assert_eq!(Query::parse(&query.without(&[]), &["text"]).unwrap(), query);
        }

        #[test]
        fn no_query_panics(raw in "\\PC{0,200}") {
            let _ = Query::parse(&raw, &["a"]);
        }
    }
}
