//! Who may use an account and its models: the fields that real and virtual accounts share.

use super::common::Collaborator;
use crate::kind::Reference;
use crate::manifest::tree::Step;
use gantry_model::subject::Subject;

/// The subjects in `collaborators` and in each model's `authorized_subjects`.
pub(super) fn subjects<'a>(
    collaborators: &'a [Collaborator],
    models: impl Iterator<Item = &'a [Subject]>,
) -> Vec<Reference<'a>> {
    let managers = collaborators.iter().enumerate().map(|(index, collaborator)| {
        let path = ["collaborators".into(), Step::from(index), "subject".into()];
        Reference::to_subject(path.to_vec(), &collaborator.subject)
    });
    let users = models.enumerate().flat_map(|(model, subjects)| {
        subjects.iter().enumerate().map(move |(index, subject)| {
            let head = ["integrations".into(), Step::from(model)];
            let rest = ["authorized_subjects".into(), Step::from(index)];
            Reference::to_subject(head.into_iter().chain(rest).collect(), subject)
        })
    });
    managers.chain(users).collect()
}
