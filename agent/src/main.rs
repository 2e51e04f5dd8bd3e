//! Placeholder.

mod act;
mod agent;
mod api;
mod config;
mod events;
mod keeper_link;
mod logs;
mod source;

fn main() {}
