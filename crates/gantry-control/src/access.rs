//! What a caller may do: one closed list of permissions, declared by the routes of the REST API.
//!
//! The table in `http/routes.rs` names one for each route, and its guard checks it before a handler
//! runs. The calls of [`crate::Control`] check nothing: the process itself makes them too.

use crate::Error;
use gantry_model::snapshot::Caller;

/// Something that not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    ApplyManifests,
    DeleteResources,
    ReadResources,
    ReadAudit,
    ReadUsers,
    ReadVirtualAccounts,
    MakeVirtualAccountTokens,
    EndVirtualAccountTokens,
    ReadGatewayTokens,
    MakeGatewayTokens,
    EndGatewayTokens,
}

impl Permission {
    /// The deed, to follow "may not".
    fn deed(self) -> &'static str {
        match self {
            Self::ApplyManifests => "apply manifests",
            Self::DeleteResources => "delete resources",
            Self::ReadResources => "read resources",
            Self::ReadAudit => "read the audit log",
            Self::ReadUsers => "read users",
            Self::ReadVirtualAccounts => "read virtual accounts",
            Self::MakeVirtualAccountTokens => "make tokens of virtual accounts",
            Self::EndVirtualAccountTokens => "end tokens of virtual accounts",
            Self::ReadGatewayTokens => "read gateway tokens",
            Self::MakeGatewayTokens => "make gateway tokens",
            Self::EndGatewayTokens => "end gateway tokens",
        }
    }

    /// Refuses whoever does not have it: administrators have all of them, others none.
    ///
    /// # Errors
    /// [`Error::Forbidden`], which says how to get it.
    pub(crate) fn check(self, caller: &Caller) -> Result<(), Error> {
        if caller.admin {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "{} may not {}: only administrators may; use an administrator's token, or have the \
             permission resource_type tenant, role_id tenant-admin added to the virtual account",
            caller.subject,
            self.deed()
        )))
    }
}
