mod form;
mod kafka;
mod keeper;
mod secured;
mod shard_hash;
mod view;
