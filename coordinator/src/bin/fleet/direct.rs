//! A report on its way into a store, without a dashboard between.

use std::path::Path;
use std::sync::Arc;

use fleet_coordinator::import::{import, import_into};
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::import::{ImportOptions, Source};
use fleet_worker_sdk::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::push::is_input;
use crate::upload::Terms;

/// Imports the report at `path`; answers with the summary.
pub(crate) async fn send(
    store: &dyn Maintain,
    terms: &Terms,
    path: &Path,
    visible: bool,
) -> Result<Value> {
    store.check().await?;
    let source = if is_input(path) {
        Source::spool(std::io::stdin().lock(), "standard input")?
    } else {
        Source::open(path)?
    };
    let options = ImportOptions {
        open: terms.open.clone(),
        bot: terms.bot.clone(),
        partial: terms.partial,
        worker: None,
    };
    let bar = progress(visible);
    let shown = |done, of| {
        bar.set_length(of);
        bar.set_position(done);
    };
    let source = Arc::new(source);
    let summary = match &terms.continued {
        Some(continued) => import_into(store, source, options, continued, &shown).await,
        None => import(store, source, options, &shown).await,
    };
    bar.finish_and_clear();
    serde_json::to_value(summary?).map_err(Error::protocol)
}

fn progress(visible: bool) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if !visible {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} findings {per_sec}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
