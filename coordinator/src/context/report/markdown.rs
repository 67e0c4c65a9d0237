//! GitHub's Markdown.

use std::fmt::Write as _;

use crate::context::Context;
use crate::health::Settings;
use crate::report::markdown::cell;
use crate::report::{escape, number, tally_rows};

pub(super) fn begin(out: &mut String, context: &Context, settings: &Settings) {
    let standing = context.standing(settings);
    out.push_str("# Findings of ");
    escape::markdown(out, context.repository().as_str());
    out.push_str("\n\n## Health: ");
    super::score(out, standing.score);
    for part in [" (", standing.status.as_str(), ")\n\n"] {
        out.push_str(part);
    }
    out.push_str(if context.blocks_release() {
        "This blocks a release.\n"
    } else {
        "Nothing blocks a release.\n"
    });
    for (label, value) in [
        ("Executions", standing.executions),
        ("Quality", standing.quality),
    ] {
        for part in ["\n", label, ": "] {
            out.push_str(part);
        }
        super::score(out, value);
        out.push('\n');
    }
    let (id, opened) = (context.id(), context.opened());
    let _ = writeln!(out, "\nSession {id}, opened {opened}");
    severities(out, context);
    bots(out, context);
    categories(out, context);
}

fn severities(out: &mut String, context: &Context) {
    out.push_str("\n## Severities\n\n| Severity | Findings |\n|---|---:|\n");
    for (severity, count) in tally_rows(context.tally()) {
        for part in ["| ", severity, " | "] {
            out.push_str(part);
        }
        number(out, count);
        out.push_str(" |\n");
    }
}

fn bots(out: &mut String, context: &Context) {
    out.push_str(
        "\n## Bots\n\n| Bot | State | Open | Errors | Suppressed |\n|---|---|---:|---:|---:|\n",
    );
    for bot in context.bot_summaries() {
        out.push('|');
        cell(out, bot.bot);
        for part in [" ", bot.state.as_str(), " |"] {
            out.push_str(part);
        }
        for count in [bot.open, bot.errors, bot.suppressed] {
            out.push(' ');
            number(out, count);
            out.push_str(" |");
        }
        out.push('\n');
    }
}

fn categories(out: &mut String, context: &Context) {
    out.push_str("\n## Categories\n\n| Category | Open |\n|---|---:|\n");
    for (category, open) in context.categories() {
        out.push('|');
        cell(out, category);
        out.push(' ');
        number(out, open);
        out.push_str(" |\n");
    }
}
