//! One HTML page without scripts or anything to load.

use std::fmt::Write as _;

use crate::context::Context;
use crate::health::Settings;
use crate::report::html::{element, open};
use crate::report::{number, tally_rows};

pub(super) fn begin(out: &mut String, context: &Context, settings: &Settings) {
    let standing = context.standing(settings);
    let status = standing.status.as_str();
    open(out, context.repository().as_str());
    for part in ["<h2>Health</h2><p class=\"health ", status, "\"><b>"] {
        out.push_str(part);
    }
    super::score(out, standing.score);
    for part in ["</b> ", status, "</p>\n<p>"] {
        out.push_str(part);
    }
    out.push_str(if context.blocks_release() {
        "This blocks a release."
    } else {
        "Nothing blocks a release."
    });
    out.push_str("</p>\n<dl>");
    for (label, value) in [
        ("Executions", standing.executions),
        ("Quality", standing.quality),
    ] {
        element(out, "dt", label);
        out.push_str("<dd>");
        super::score(out, value);
        out.push_str("</dd>");
    }
    let (id, opened) = (context.id(), context.opened());
    let _ = write!(
        out,
        "<dt>Session</dt><dd>{id}</dd><dt>Opened</dt><dd>{opened}</dd>"
    );
    out.push_str("</dl>\n");
    severities(out, context);
    bots(out, context);
    categories(out, context);
}

fn severities(out: &mut String, context: &Context) {
    out.push_str("<h2>Severities</h2><ul class=\"tally\">");
    for (severity, count) in tally_rows(context.tally()) {
        for part in ["<li class=\"", severity, "\"><b>"] {
            out.push_str(part);
        }
        number(out, count);
        for part in ["</b> ", severity, "</li>"] {
            out.push_str(part);
        }
    }
    out.push_str("</ul>\n");
}

fn bots(out: &mut String, context: &Context) {
    out.push_str("<h2>Bots</h2><table><thead><tr><th scope=\"col\">Bot<th scope=\"col\">State<th scope=\"col\">Open<th scope=\"col\">Errors<th scope=\"col\">Suppressed</tr></thead><tbody>\n");
    for bot in context.bot_summaries() {
        out.push_str("<tr>");
        element(out, "td", bot.bot);
        for part in ["<td>", bot.state.as_str(), "</td>"] {
            out.push_str(part);
        }
        for count in [bot.open, bot.errors, bot.suppressed] {
            counted(out, count);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn categories(out: &mut String, context: &Context) {
    out.push_str("<h2>Categories</h2><table><thead><tr><th scope=\"col\">Category<th scope=\"col\">Open</tr></thead><tbody>\n");
    for (category, open) in context.categories() {
        out.push_str("<tr>");
        element(out, "td", category);
        counted(out, open);
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn counted(out: &mut String, count: u32) {
    out.push_str("<td>");
    number(out, count);
    out.push_str("</td>");
}

pub(super) fn close(out: &mut String) {
    out.push_str("</main></body></html>\n");
}
