//! The service on real repositories and a store on disk.

mod bed;
mod claims;
mod crashes;
mod create;
mod outside;
mod owners;
mod removal;
mod repositories;
