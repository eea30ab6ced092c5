//! A whole reply: read into its neutral form and printed from it. `translate` and `screen` call it.

use crate::context::{Error, ReplyContext};
use crate::dialect::Dialect;
use crate::neutral::{Losses, Reply};
use gantry_model::record::Loss;

/// A reply in another dialect, or printed anew in its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatedReply {
    pub body: Vec<u8>,
    /// What was dropped or approximated, in the order it was found.
    pub losses: Vec<Loss>,
    /// Why the answer ended, as the body says it.
    pub finish_reason: &'static str,
}

/// A reply in neutral form, its tools named as the caller names them.
pub(crate) fn read<'a>(
    from: &dyn Dialect,
    body: &'a [u8],
    ctx: &ReplyContext<'_>,
    losses: &mut Losses,
) -> Result<Reply<'a>, Error> {
    let mut reply = from.read_reply(body, losses)?;
    if !ctx.carried.names.is_empty() {
        ctx.carried.names.restore(&mut reply.parts);
    }
    Ok(reply)
}

/// Prints a reply with what was lost while it was read; `room` is about its size in bytes.
pub(crate) fn print(
    to: &dyn Dialect,
    reply: &Reply<'_>,
    ctx: &ReplyContext<'_>,
    (mut losses, room): (Losses, usize),
) -> TranslatedReply {
    let mut body = Vec::with_capacity(room);
    let finish_reason = to.print_reply(reply, ctx, &mut losses, &mut body);
    TranslatedReply { body, losses: losses.into_vec(), finish_reason }
}
