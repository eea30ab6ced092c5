//! Stage 4, admit: does the model exist, may the caller use it, can it do what is asked.

use crate::authenticate::Identified;
use crate::decode::Call;
use crate::refusal::{Refusal, RefusalKind};
use crate::snapshot::{Entry, Snapshot};
use gantry_model::nearest::nearest;

/// A call that may go on.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) entry: Entry,
}

/// Admits the call or says why not.
pub(crate) fn admit(
    snapshot: &Snapshot,
    identified: &Identified,
    call: &Call,
) -> Result<Admitted, Refusal> {
    let entry = snapshot.models.get(&call.model);
    let entry = entry.ok_or_else(|| unknown(snapshot, identified, &call.model))?;
    if !entry.access().allows(&identified.caller) {
        let public = format!(
            "{} may not use the model `{}`; ask its owner to add you to its authorized_subjects",
            identified.caller.subject, call.model
        );
        return Err(Refusal::caller(RefusalKind::Forbidden, public));
    }
    let types = entry.types();
    let wanted = call.exchange.model_types;
    if !types.is_empty() && !types.iter().any(|have| wanted.contains(&have.as_str())) {
        let public = format!(
            "the model `{}` does not serve {}; its model_types are [{}]",
            call.model,
            call.exchange.address.whole,
            types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "),
        );
        return Err(Refusal::caller(RefusalKind::WrongOperation, public));
    }
    Ok(Admitted { entry: entry.clone() })
}

/// Names only models that the caller may use.
fn unknown(snapshot: &Snapshot, identified: &Identified, name: &str) -> Refusal {
    let usable = snapshot
        .models
        .iter()
        .filter(|(_, entry)| entry.access().allows(&identified.caller))
        .map(|(name, _)| name.as_str());
    // Callers forget the account: then the model's own name is right as it is, or nearly.
    let own = |whole: &'_ str| whole.split_once('/').map_or("", |(_, own)| own).to_owned();
    let without_account = |wanted: &str| usable.clone().filter(|one| own(one) == wanted).min();
    let hint = match without_account(name).or_else(|| nearest(name, usable.clone())) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => "GET /v1/models lists those you may use".to_owned(),
    };
    let public = format!("there is no model `{name}`; {hint}");
    Refusal::caller(RefusalKind::UnknownModel, public)
}
