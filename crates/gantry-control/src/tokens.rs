//! What holds for every token, whoever it is for. `people`, `accounts` and `bootstrap` make theirs
//! through here.

use crate::Error;
use gantry_model::ids::UnixMs;
use gantry_store::{AuditEntry, Purpose, Token, TokenFilter, Tx};

/// Most tokens of one subject that work at a time. A person has one per machine and program; what
/// makes more has lost count of them.
const TOKENS_MAX: u64 = 100;

/// How long a token is still listed and its id taken after it has ended, in milliseconds.
pub(crate) const ENDED_KEPT_MS: u64 = 30 * 24 * 3_600_000;

/// All tokens of one subject.
pub(crate) fn of(purpose: Purpose, subject: &str) -> TokenFilter<'_> {
    TokenFilter { purpose: Some(purpose), subject: Some(subject), ..TokenFilter::default() }
}

/// Stores a token with the deed.
pub(crate) async fn make(tx: &mut Tx, actor: &str, token: &Token) -> Result<(), Error> {
    add(tx, token).await?;
    tx.audit(&deed(actor, "token.create", token)).await?;
    Ok(())
}

/// Stores a token, unless its subject has as many as it may have.
pub(crate) async fn add(tx: &mut Tx, token: &Token) -> Result<(), Error> {
    if tx.live_tokens(token.purpose, &token.subject).await? >= TOKENS_MAX {
        return Err(too_many(token));
    }
    tx.add_token(token).await?;
    Ok(())
}

fn too_many(token: &Token) -> Error {
    let what_to_do = match token.purpose {
        Purpose::VirtualAccount => "let earlier ones end sooner, with a shorter grace period",
        Purpose::Personal | Purpose::Gateway => {
            "end those that nobody uses, with `gantry token --revoke NAME` (`gantry token --list` \
             shows them)"
        }
    };
    Error::Conflict(format!(
        "{} has {TOKENS_MAX} tokens that work, and no more are possible; {what_to_do}",
        token.subject
    ))
}

/// Ends a token, with the deed.
pub(crate) async fn end(tx: &mut Tx, actor: &str, token: &Token) -> Result<(), Error> {
    tx.revoke_token(&token.id).await?;
    tx.audit(&deed(actor, "token.revoke", token)).await?;
    Ok(())
}

/// Refuses a name that a token of the subject has already. It looks inside the transaction that
/// will store the new one, so that two requests at once do not both pass.
pub(crate) async fn check_free(tx: &mut Tx, subject: &str, name: &str) -> Result<(), Error> {
    let same = TokenFilter { name: Some(name), ..of(Purpose::Personal, subject) };
    if tx.tokens(same).await?.is_empty() {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "a personal token named {name:?} exists already; choose another name, or end it with \
         `gantry token --revoke {name}`"
    )))
}

/// Refuses to end the last token of a person, who could not even make another without it.
pub(crate) async fn check_not_last(
    tx: &mut Tx,
    token: &Token,
    now_ms: UnixMs,
) -> Result<(), Error> {
    if token.purpose != Purpose::Personal || !token.live(now_ms) {
        return Ok(());
    }
    if tx.live_tokens(token.purpose, &token.subject).await? > 1 {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "{:?} is the only token of {} that works; make another first, with `gantry token NAME`, \
         and use that to end this one",
        token.name, token.subject
    )))
}

fn deed(actor: &str, action: &str, token: &Token) -> AuditEntry {
    AuditEntry {
        actor: actor.to_owned(),
        action: action.to_owned(),
        kind: format!("{}-token", token.purpose.as_str()),
        name: format!("{}/{}", token.subject, token.name),
        ..AuditEntry::default()
    }
}
