mod clients;
mod log;
