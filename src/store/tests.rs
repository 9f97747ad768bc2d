mod form;
mod kafka;
mod keeper;
mod shard_hash;
mod view;
