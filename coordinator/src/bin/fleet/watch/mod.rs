//! `fleet watch`: the fleet as it changes, on a terminal or line by line.
//!
//! [`eye`] reads the fleet again and again; [`seen`] is what it saw and what became different;
//! [`screen`] owns the terminal, [`draw`] fills it, [`lines`] writes where there is none.

mod eye;

mod seen;

mod screen;

mod draw;

mod lines;

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Args;

use crate::asking::Asking;
use crate::exit::Stop;

pub(crate) const EXAMPLES: &str = "\
On a terminal: tab goes from pane to pane, arrows and page keys scroll, q ends.
Elsewhere, as in a pipe or a file, every change is a line. While the store is away, what was known
last stays, with the time since when; it goes on by itself.

Examples:
  fleet watch
  fleet watch --once                  one look, as text
  fleet watch --json | jq -c 'select(.change == \"session\")'";

/// What `fleet watch` is given.
#[derive(Args)]
pub(crate) struct Watch {
    /// Look once, write what is seen, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Watch {
    /// Whether it takes the whole terminal, where nothing else may be written.
    pub(crate) fn takes_screen(&self) -> bool {
        !self.once && !self.asking.json && std::io::stdout().is_terminal()
    }

    pub(crate) async fn run(self) -> Result<(), Stop> {
        let reader = Arc::from(self.asking.reader()?);
        let look = self.asking.look();
        if self.once {
            let seen = eye::look(&*reader).await?;
            return self.asking.show(&seen, |look| lines::whole(&seen, look));
        }
        if self.takes_screen() {
            return screen::run(reader, look.colour).await;
        }
        lines::run(reader, self.asking.json).await
    }
}
