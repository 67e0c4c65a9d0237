//! A report, page by page as it is read.

use fleet_worker_sdk::{Result, SessionId};
use jiff::Timestamp;

use super::FindingsQuery;
use crate::health::Settings;
use crate::index::{Cursor, Page, PageQuery};
use crate::model::SessionFacts;
use crate::report::{Format, Report, ReportHead};
use crate::store::{Findings, Read};
use crate::view::session_health;

/// Findings read under one lock of the index: about a millisecond, and half a megabyte of text.
pub const STEP: usize = 500;

/// A report under way: what is written next, and what is still to be read.
///
/// The index is locked for one page only, never while somebody reads what was written.
#[derive(Debug)]
pub struct Reporting {
    report: Report,
    source: Option<(Findings, PageQuery)>,
    /// Findings still to be written; none for all.
    left: Option<usize>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Head(Option<Page>),
    Rows(Page),
    Page(Cursor),
    Foot(Option<Cursor>),
    Nothing,
}

impl Reporting {
    /// A report of `session` in `format`: of the findings `query` asks for, all of them or at most
    /// `limit`.
    ///
    /// # Errors
    /// As the store's; `Error::Invalid` for a cursor of another order or session.
    pub async fn begin<S: Read + ?Sized>(
        store: &S,
        settings: &Settings,
        session: &SessionId,
        format: Format,
        query: &FindingsQuery,
        limit: Option<usize>,
    ) -> Result<Self> {
        let facts = store.facts(session).await?;
        let asked = query.resolve(store).await?;
        let findings = store.findings(session).await?;
        let mut head = ReportHead {
            health: Some(session_health(&facts, settings).health),
            facts,
            filter: query.in_words(),
            total: 0,
            generated: Timestamp::now(),
        };
        let mut first = None;
        let mut source = None;
        if let Some(mut asked) = asked {
            asked.limit = step(limit);
            let page = findings.read().await.query(&asked)?;
            head.total = page.total;
            (first, source) = (Some(page), Some((findings, asked)));
        }
        Ok(Self {
            report: Report::new(format, head),
            source,
            left: limit,
            next: Next::Head(first),
        })
    }

    /// The session it is about.
    pub fn facts(&self) -> &SessionFacts {
        self.report.facts()
    }

    /// What comes next; none after the end.
    ///
    /// # Errors
    /// `Error::Invalid` when the session was emptied meanwhile; nothing comes after it.
    pub async fn next(&mut self) -> Result<Option<String>> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Head(first) => {
                self.next = first.map_or(Next::Foot(None), Next::Rows);
                Ok(Some(self.report.begin()))
            }
            Next::Rows(page) => Ok(Some(self.rows(page))),
            Next::Page(cursor) => {
                let Some((findings, query)) = &mut self.source else {
                    return Ok(None);
                };
                query.after = Some(cursor);
                query.limit = step(self.left);
                let page = findings.read().await.query(query)?;
                Ok(Some(self.rows(page)))
            }
            Next::Foot(cursor) => Ok(Some(self.report.end(cursor.as_ref()))),
            Next::Nothing => Ok(None),
        }
    }

    fn rows(&mut self, page: Page) -> String {
        let rows = self.report.rows(&page.findings);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(page.findings.len());
        }
        self.next = match page.next {
            Some(cursor) if self.left != Some(0) => Next::Page(cursor),
            cursor => Next::Foot(cursor),
        };
        rows
    }
}

fn step(left: Option<usize>) -> usize {
    left.map_or(STEP, |left| left.min(STEP))
}
