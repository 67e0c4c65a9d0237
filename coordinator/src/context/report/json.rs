//! One JSON document, written as text, which spares a value for every part; tests read it with serde.

use std::fmt::Write as _;

use crate::context::{Context, Entry};
use crate::health::Settings;
use crate::report::number;

/// Appends all up to the findings, without the closing brace.
pub(super) fn begin(out: &mut String, context: &Context, settings: &Settings) {
    let standing = context.standing(settings);
    let (id, opened) = (context.id(), context.opened());
    let _ = write!(
        out,
        "{{\"id\":\"{id}\",\"opened\":\"{opened}\",\"repository\":"
    );
    text(out, context.repository().as_str());
    for (name, value) in [
        (",\"score\":", standing.score),
        (",\"executions\":", standing.executions),
        (",\"quality\":", standing.quality),
    ] {
        out.push_str(name);
        float(out, value);
    }
    for part in [",\"status\":\"", standing.status.as_str(), "\""] {
        out.push_str(part);
    }
    out.push_str(if context.blocks_release() {
        ",\"blocks_release\":true"
    } else {
        ",\"blocks_release\":false"
    });
    let tally = context.tally();
    for (name, count) in [
        (",\"total\":", tally.total()),
        (",\"tally\":{\"error\":", tally.error),
        (",\"warning\":", tally.warning),
        (",\"info\":", tally.info),
        (",\"suggestion\":", tally.suggestion),
        (",\"suppressed\":", tally.suppressed),
    ] {
        out.push_str(name);
        number(out, count);
    }
    out.push_str("},\"bots\":");
    bots(out, context);
    out.push_str(",\"categories\":");
    categories(out, context);
}

fn bots(out: &mut String, context: &Context) {
    out.push('[');
    for (place, bot) in context.bot_summaries().enumerate() {
        out.push_str(if place == 0 {
            "{\"bot\":"
        } else {
            ",{\"bot\":"
        });
        text(out, bot.bot);
        for part in [",\"state\":\"", bot.state.as_str(), "\""] {
            out.push_str(part);
        }
        for (name, count) in [
            (",\"open\":", bot.open),
            (",\"errors\":", bot.errors),
            (",\"suppressed\":", bot.suppressed),
        ] {
            out.push_str(name);
            number(out, count);
        }
        out.push('}');
    }
    out.push(']');
}

fn categories(out: &mut String, context: &Context) {
    out.push('{');
    for (place, (category, open)) in context.categories().enumerate() {
        if place > 0 {
            out.push(',');
        }
        text(out, category);
        out.push(':');
        number(out, open);
    }
    out.push('}');
}

/// Appends a finding of a report.
pub(super) fn row(out: &mut String, entry: &Entry<'_>, first: bool) {
    out.push_str(if first {
        "\n{\"id\":\""
    } else {
        ",\n{\"id\":\""
    });
    let _ = write!(out, "{}", entry.id());
    out.push_str("\",\"bot\":");
    text(out, entry.bot_name());
    out.push(',');
    finding(out, entry);
    out.push('}');
}

/// Appends the members of a finding that are its own.
pub(in crate::context) fn finding(out: &mut String, entry: &Entry<'_>) {
    for part in ["\"severity\":\"", entry.severity().as_str(), "\",\"rule\":"] {
        out.push_str(part);
    }
    text(out, entry.rule());
    out.push_str(",\"category\":");
    text(out, entry.category());
    out.push_str(",\"message\":");
    text(out, entry.message());
    if !entry.file().is_empty() {
        out.push_str(",\"file\":");
        text(out, entry.file());
    }
    if entry.line() > 0 {
        out.push_str(",\"line\":");
        number(out, entry.line());
    }
    if !entry.element().is_empty() {
        out.push_str(",\"element\":");
        text(out, entry.element());
    }
    for (name, value) in [
        (",\"security_severity\":", entry.security_severity()),
        (",\"confidence\":", entry.confidence()),
    ] {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let _ = write!(out, "{name}{value}");
        }
    }
    let marks = entry.marks();
    for (name, set) in [
        (",\"suppressed\":true", marks.suppressed),
        (",\"fixable\":true", marks.fixable),
        (",\"fixed\":true", marks.fixed),
    ] {
        if set {
            out.push_str(name);
        }
    }
}

fn float(out: &mut String, value: Option<f64>) {
    match value.filter(|value| value.is_finite()) {
        Some(value) => {
            let _ = write!(out, "{value}");
        }
        None => out.push_str("null"),
    }
}

/// Appends a text in quotes. Runs without anything to escape, which most texts are as a whole, are
/// copied at once.
pub(in crate::context) fn text(out: &mut String, text: &str) {
    out.push('"');
    let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut rest = text;
    while let Some(at) = rest.bytes().position(escaped) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        match from.as_bytes().first() {
            Some(b'"') => out.push_str("\\\""),
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'\r') => out.push_str("\\r"),
            Some(b'\t') => out.push_str("\\t"),
            byte => {
                let _ = write!(out, "\\u{:04x}", byte.copied().unwrap_or_default());
            }
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}
