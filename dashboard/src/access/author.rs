//! Who did something, as the audit keeps it.
//!
//! A request says in whose name it is made. Where everybody needs a token that is a claim, and the
//! token's name the fact: it stands first, with the claim in brackets where the two differ.

use std::convert::Infallible;

use fleet_coordinator::alert::author;
use fleet_worker_sdk::Result;
use warp::Filter;
use warp::http::HeaderMap;

use super::guard::asking;
use crate::context::Context;

/// Whose token a request has; nothing where it has none.
#[derive(Clone, Debug)]
pub(crate) struct Signer(Option<String>);

impl Signer {
    /// In whose name it is done, when `claimed` is what the request says.
    ///
    /// # Errors
    /// `Error::Invalid` where neither names anybody, or at too great length.
    pub(crate) fn name(&self, claimed: &str) -> Result<String> {
        let claimed = claimed.trim();
        let whole = match &self.0 {
            Some(name) if claimed.is_empty() || claimed == name => name.clone(),
            Some(name) => format!("{name} ({claimed})"),
            None => claimed.to_owned(),
        };
        author(&whole)
    }
}

/// Takes whose token a request has.
pub(crate) fn signer(
    context: &Context,
) -> impl Filter<Extract = (Signer,), Error = Infallible> + Clone + use<> {
    let tokens = context.settings.tokens.clone();
    warp::header::headers_cloned().map(move |headers: HeaderMap| {
        Signer(asking(tokens.as_ref(), &headers).map(|who| who.name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_s_name_is_kept_whatever_is_claimed() {
        let token = Signer(Some("ops".into()));
        assert_eq!(token.name("").unwrap(), "ops");
        assert_eq!(token.name(" ops ").unwrap(), "ops");
        assert_eq!(token.name("ada").unwrap(), "ops (ada)");
        assert!(token.name(&"a".repeat(128)).is_err(), "with it too long");
        let nobody = Signer(None);
        assert_eq!(nobody.name(" ada ").unwrap(), "ada");
        for said in ["", "  ", "a\nb"] {
            assert!(nobody.name(said).is_err(), "{said:?}");
        }
    }
}
