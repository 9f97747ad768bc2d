mod access;
mod client;
mod limits;
mod routes;
mod tls;
