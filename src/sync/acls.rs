//! ACLs of mirror topics: those of the source topics are copied, and others are kept from writing.
//!
//! Owns: which entries of the target's authorizer are ours, and adding and removing them.
//! Promises: an entry is noted in the state before it is added, and only noted ones are ever removed; nothing is
//! added that is there, nothing is sent where nothing changed; whatever is denied, it is never ourselves; with the
//! source unreachable nothing that was copied is taken back.
//! Does not know: how records are copied, rights on anything but topics.
//!
//! # What is copied
//! What holds for a mirrored topic at the source, by its name, by the beginning of its name or as one of all topics
//! (`*`), becomes an entry for exactly the mirror topic, so that nothing is opened that is not mirrored. `Allow Write`
//! is left out and `Allow All` becomes `Allow Read`: a mirror topic has one writer. `Deny` stays as it is, except that
//! for everybody (`User:*`) it would hit us too: it is left out, together with what it forbids. Entries about our own
//! principals are left out.
//!
//! # What protects
//! Everybody else who is allowed to write to a mirror topic is denied it: `Deny` beats `Allow` (there is no "everyone
//! but us"). It does not bind super users, and can't be told `User:*`.

mod compare;
mod round;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use super::SyncError;
use super::topics::Problem;
use crate::cluster::Cluster;
use crate::store::{Lease, Store};
use crate::types::LinkName;

/// What the loop needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The link.
    pub link: LinkName,
    /// From the end of a round to the next one.
    pub interval: Duration,
    /// Whether the source's entries are copied.
    pub is_copying: bool,
    /// Whether what was copied is removed when it is gone at the source.
    pub is_deleting: bool,
    /// Whether others are kept from writing.
    pub is_protecting: bool,
    /// Who we are on the target, such as `User:causeway`. Not empty where anything is copied or protected.
    pub own_principals: BTreeSet<String>,
}

/// The control loop over the ACLs of one link. Runs where the link's shard is owned.
#[derive(Debug)]
pub struct AclSync {
    settings: Settings,
    source: Cluster,
    target: Cluster,
    store: Store,
    problems: watch::Sender<Vec<Problem>>,
}

impl AclSync {
    /// Puts it together; nothing is asked yet.
    #[must_use]
    pub fn new(settings: Settings, source: Cluster, target: Cluster, store: Store) -> Self {
        Self { settings, source, target, store, problems: watch::Sender::default() }
    }

    /// Makes a round every interval, until the lease is lost. Can be dropped at any await. With everything switched
    /// off it only takes back what protected before, and asks no cluster where there is nothing of that.
    pub async fn run(&self, lease: &Lease) {
        loop {
            let outcome = tokio::select! {
                () = lease.lost() => return,
                outcome = self.round(lease) => outcome,
            };
            match outcome {
                Ok(problems) => self.tell(&problems),
                Err(error) if error.is_final() => {
                    tracing::warn!(link = %self.settings.link, %error, "the loop over the ACLs ends");
                    return;
                }
                Err(error) => self.tell(&[Problem { topic: None, message: error.to_string() }]),
            }
            tokio::select! {
                () = lease.lost() => return,
                () = tokio::time::sleep(self.settings.interval) => {}
            }
        }
    }

    /// One round: looks at both sides, decides, and makes it so. Answers with what a person should know.
    pub async fn round(&self, lease: &Lease) -> Result<Vec<Problem>, SyncError> {
        round::round(self, lease).await
    }

    /// What the last round found that a person should know.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.borrow().clone()
    }

    fn tell(&self, problems: &[Problem]) {
        let before = self.problems.send_replace(problems.to_vec());
        for problem in problems.iter().filter(|problem| !before.contains(problem)) {
            let topic = problem.topic.as_ref().map(tracing::field::display);
            tracing::warn!(link = %self.settings.link, topic, "{}", problem.message);
        }
    }
}

#[cfg(test)]
mod tests;
