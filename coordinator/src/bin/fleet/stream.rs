//! A JSON document with one long list in it, written as the list comes: memory does not grow with it.

use std::fmt::Write as _;

use fleet_worker_sdk::Error;
use serde::Serialize;
use serde_json::Value;

use crate::exit::Stop;
use crate::output::say;

/// `{"NAME": [...], ...}`, one element of the list a line.
pub(crate) struct Document {
    name: &'static str,
    written: usize,
}

impl Document {
    /// A document whose list has this name.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, written: 0 }
    }

    /// Writes the next elements.
    pub(crate) fn add<T: Serialize>(&mut self, elements: &[T]) -> Result<(), Stop> {
        Ok(say(&self.part(elements)?)?)
    }

    /// Writes what stands after the list.
    pub(crate) fn end(self, members: &[(&str, Value)]) -> Result<(), Stop> {
        Ok(say(&self.rest(members))?)
    }

    fn part<T: Serialize>(&mut self, elements: &[T]) -> Result<String, Stop> {
        let mut text = String::new();
        for element in elements {
            if self.written == 0 {
                text.push_str(&self.begin());
            } else {
                text.push_str(",\n");
            }
            text.push_str(&serde_json::to_string(element).map_err(Error::protocol)?);
            self.written += 1;
        }
        Ok(text)
    }

    fn rest(&self, members: &[(&str, Value)]) -> String {
        let mut text = match self.written {
            0 => self.begin().trim_end().to_owned(),
            _ => "\n".to_owned(),
        };
        text.push(']');
        for (name, value) in members {
            let name = Value::from(*name);
            let _ = write!(text, ",{name}:{value}");
        }
        text.push_str("}\n");
        text
    }

    fn begin(&self) -> String {
        format!("{{{}:[\n", Value::from(self.name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_parts_make_one_document() {
        for parts in [vec![], vec![vec![]], vec![vec![1, 2], vec![], vec![3]]] {
            let mut document = Document::new("list");
            let mut text = String::new();
            for part in &parts {
                text += &document.part(part).unwrap();
            }
            text += &document.rest(&[("next", json!("x"))]);
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, json!({"list": parts.concat(), "next": "x"}), "{text}");
        }
    }
}
