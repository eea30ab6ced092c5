//! Fields that chat completions and Responses share, read into the neutral form.

use crate::dialect::json::Json;
use crate::neutral::{Arguments, Losses, Str, Text, Tier};

/// `safety_identifier` replaces `user`; where both are given, the newer one counts.
pub(crate) fn user<'a>(
    user: Option<Str<'a>>,
    safety: Option<Str<'a>>,
    losses: &mut Losses,
) -> Option<Str<'a>> {
    if let (Some(user), Some(safety)) = (&user, &safety)
        && user != safety
    {
        losses.dropped("user", "`safety_identifier` is sent instead");
    }
    safety.or(user)
}

/// The class of service of a name; one that has no counterpart is told.
pub(crate) fn tier(name: &str, losses: &mut Losses) -> Option<Tier> {
    match name {
        "auto" => Some(Tier::Auto),
        "default" => Some(Tier::Standard),
        "priority" => Some(Tier::Priority),
        "fast" => Some(Tier::Fast),
        _ => {
            losses.dropped("service_tier", &format!("`{name}` has no counterpart"));
            None
        }
    }
}

/// The input of a custom tool as the arguments of the function that stands for it.
pub(crate) fn custom_arguments(input: &Text<'_>) -> Arguments<'static> {
    let mut text = Vec::new();
    let mut json = Json::new(&mut text);
    json.open(b'{');
    json.member_text("input", input);
    json.close(b'}');
    Arguments::Text(Text::Owned(String::from_utf8_lossy(&text).into_owned()))
}
