//! Keeping repositories in order: what is off, mending it, dropping what nobody needs, and the disk it all takes.

mod disk;
mod doctor;
mod kinds;
mod prune;
mod repair;
mod undos;

pub(crate) use disk::bytes_of;
