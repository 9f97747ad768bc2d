mod clients;
mod coordinated;
mod fetching;
mod hostile;
mod making_smaller;
mod producing;
mod replicas;
mod support;
