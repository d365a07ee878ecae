//! What runs beside the requests. One file for each.

pub(crate) mod agents;
pub(crate) mod capabilities;
pub(crate) mod claims;
pub(crate) mod config_reload;
pub(crate) mod idle;
pub(crate) mod observe;
pub(crate) mod purge;
pub(crate) mod radar;
pub(crate) mod signals;
pub(crate) mod spares;
pub(crate) mod sync;
pub(crate) mod workplaces;
