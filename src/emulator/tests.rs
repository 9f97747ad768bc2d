mod clients;
mod coordinators;
mod fetching;
mod hostile;
mod making_smaller;
mod producing;
mod replicas;
mod support;
