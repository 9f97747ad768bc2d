//! Which entries a mirror topic should have from us. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{AclOperation, AclPermission, TopicAcl, TopicPattern};
use crate::store::{AclEntry, AclsRecord};
use crate::types::TopicName;

/// Everybody.
const EVERYBODY: &str = "User:*";
const EVERYWHERE: &str = "*";

/// Entries by the topics that they are about: by exact names quickly, the few others one by one.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_name: BTreeMap<String, Vec<TopicAcl>>,
    others: Vec<TopicAcl>,
}

impl Index {
    pub(super) fn new(acls: Vec<TopicAcl>) -> Self {
        let mut index = Self::default();
        for acl in acls {
            match &acl.pattern {
                TopicPattern::Literal(name) if name != "*" => {
                    index.by_name.entry(name.clone()).or_default().push(acl);
                }
                TopicPattern::Literal(_) | TopicPattern::Prefixed(_) => index.others.push(acl),
            }
        }
        index
    }

    /// All entries that hold for a topic.
    fn of<'i>(&'i self, topic: &'i TopicName) -> impl Iterator<Item = &'i TopicAcl> {
        let by_name = self.by_name.get(topic.as_str()).into_iter().flatten();
        by_name.chain(self.others.iter().filter(|acl| acl.pattern.covers(topic.as_str())))
    }
}

/// What is wanted of all topics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) is_deleting: bool,
    pub(super) is_protecting: bool,
    pub(super) own_principals: &'a BTreeSet<String>,
}

/// What is known of one topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) source_topic: &'a TopicName,
    pub(super) target_topic: &'a TopicName,
    /// Whether the target topic is one that we write to, or will again.
    pub(super) is_mirror: bool,
    /// `None`: what was copied stays as it is.
    pub(super) source: Option<&'a Index>,
    pub(super) target: &'a Index,
    pub(super) record: Option<&'a AclsRecord>,
}

/// What to do about one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// The record with everything that is added and nothing that is removed; to be written before anything is done.
    pub(super) before: AclsRecord,
    /// The record when it is done. One without entries is to be removed.
    pub(super) after: AclsRecord,
    pub(super) add: BTreeSet<AclEntry>,
    pub(super) remove: BTreeSet<AclEntry>,
    /// Whether everybody may write to the mirror topic, which nothing but a person can end.
    pub(super) is_open_to_everybody: bool,
    /// What can't be copied because it would hit ourselves.
    pub(super) left_out: Vec<TopicAcl>,
}

/// Decides about one topic.
pub(super) fn decide(wish: Wish<'_>, seen: Seen<'_>) -> Decision {
    let empty =
        AclsRecord { target_topic: seen.target_topic.clone(), copied: BTreeSet::new(), protecting: BTreeSet::new() };
    let recorded = seen.record.cloned().unwrap_or_else(|| empty.clone());
    let there: BTreeSet<AclEntry> = seen.target.of(seen.target_topic).filter(|acl| is_exact(acl)).map(entry).collect();
    let foreign = || {
        let is_ours = |acl: &&TopicAcl| {
            is_exact(acl) && {
                let entry = entry(acl);
                recorded.copied.contains(&entry) || recorded.protecting.contains(&entry)
            }
        };
        seen.target.of(seen.target_topic).filter(move |acl| !is_ours(acl))
    };
    let (mut copied, left_out) = match seen.source {
        Some(source) if seen.is_mirror => copies(wish.own_principals, source, seen.source_topic),
        // A topic that is mirrored no more: what its source allows is no longer ours to say.
        Some(_) => (BTreeSet::new(), Vec::new()),
        None => (recorded.copied.clone(), Vec::new()),
    };
    let own_rights: BTreeSet<AclEntry> = wish.own_principals.iter().map(|own| allow_all(own)).collect();
    let is_needed = foreign().next().is_none() || own_rights.iter().any(|entry| recorded.copied.contains(entry));
    if seen.source.is_some() && !copied.is_empty() && is_needed {
        // Brokers may allow everything on a topic that has no entry at all. With its first entry that ends, for us
        // too, unless there is one for us.
        copied.extend(own_rights);
    }
    if seen.source.is_some() && !wish.is_deleting {
        copied.extend(recorded.copied.iter().cloned());
    }
    let is_protecting = wish.is_protecting && seen.is_mirror;
    let protecting = if is_protecting { denials(wish.own_principals, foreign()) } else { BTreeSet::new() };
    let is_open_to_everybody = is_protecting && foreign().any(|acl| may_write(acl) && acl.principal == EVERYBODY);

    // What somebody else has set already is not ours to note, nor to remove.
    let is_new = |entry: &&AclEntry| !there.contains(*entry);
    let known = |entry: &AclEntry| recorded.copied.contains(entry) || recorded.protecting.contains(entry);
    let ours = |wanted: BTreeSet<AclEntry>| -> BTreeSet<AclEntry> {
        wanted.into_iter().filter(|entry| known(entry) || is_new(&entry)).collect()
    };
    let after = AclsRecord { copied: ours(copied), protecting: ours(protecting), ..empty };
    let wanted: BTreeSet<AclEntry> = after.copied.union(&after.protecting).cloned().collect();
    let before = AclsRecord {
        copied: recorded.copied.union(&after.copied).cloned().collect(),
        protecting: recorded.protecting.union(&after.protecting).cloned().collect(),
        target_topic: seen.target_topic.clone(),
    };
    let all: BTreeSet<AclEntry> = before.copied.union(&before.protecting).cloned().collect();
    Decision {
        add: wanted.difference(&there).cloned().collect(),
        remove: all.difference(&wanted).filter(|entry| there.contains(*entry)).cloned().collect(),
        before,
        after,
        is_open_to_everybody,
        left_out,
    }
}

/// What the source's entries become, and which of them can't be copied.
fn copies(own: &BTreeSet<String>, source: &Index, topic: &TopicName) -> (BTreeSet<AclEntry>, Vec<TopicAcl>) {
    let (hits_us, others): (Vec<&TopicAcl>, Vec<&TopicAcl>) = source
        .of(topic)
        .filter(|acl| !own.contains(&acl.principal))
        .partition(|acl| acl.permission == AclPermission::Deny && acl.principal == EVERYBODY);
    let is_forbidden = |operation: AclOperation| {
        hits_us.iter().any(|deny| deny.operation == operation || deny.operation == AclOperation::All)
    };
    let copy = |acl: &TopicAcl| {
        let operation = match (acl.permission, acl.operation) {
            (AclPermission::Allow, AclOperation::Write) => return None,
            (AclPermission::Allow, AclOperation::All) => AclOperation::Read,
            (_, operation) => operation,
        };
        let is_void = acl.permission == AclPermission::Allow && is_forbidden(operation);
        (!is_void).then(|| AclEntry { operation: operation.name().to_owned(), ..entry(acl) })
    };
    let copied = others.into_iter().filter_map(copy).collect();
    (copied, hits_us.into_iter().cloned().collect())
}

/// A denial for each who may write.
fn denials<'i>(own: &BTreeSet<String>, entries: impl Iterator<Item = &'i TopicAcl>) -> BTreeSet<AclEntry> {
    let others = entries.filter(|acl| may_write(acl) && acl.principal != EVERYBODY && !own.contains(&acl.principal));
    let denial = |acl: &TopicAcl| AclEntry {
        principal: acl.principal.clone(),
        host: EVERYWHERE.to_owned(),
        operation: AclOperation::Write.name().to_owned(),
        is_denied: true,
    };
    others.map(denial).collect()
}

fn may_write(acl: &TopicAcl) -> bool {
    acl.permission == AclPermission::Allow && matches!(acl.operation, AclOperation::Write | AclOperation::All)
}

fn allow_all(principal: &str) -> AclEntry {
    AclEntry {
        principal: principal.to_owned(),
        host: EVERYWHERE.to_owned(),
        operation: AclOperation::All.name().to_owned(),
        is_denied: false,
    }
}

fn is_exact(acl: &TopicAcl) -> bool {
    matches!(&acl.pattern, TopicPattern::Literal(name) if name != "*")
}

/// An entry as it is stored.
fn entry(acl: &TopicAcl) -> AclEntry {
    AclEntry {
        principal: acl.principal.clone(),
        host: acl.host.clone(),
        operation: acl.operation.name().to_owned(),
        is_denied: acl.permission == AclPermission::Deny,
    }
}

/// A stored entry as the cluster takes it; `None` for an operation that this version does not know.
pub(super) fn acl(topic: &TopicName, entry: &AclEntry) -> Option<TopicAcl> {
    Some(TopicAcl {
        pattern: TopicPattern::Literal(topic.to_string()),
        principal: entry.principal.clone(),
        host: entry.host.clone(),
        operation: AclOperation::from_name(&entry.operation)?,
        permission: if entry.is_denied { AclPermission::Deny } else { AclPermission::Allow },
    })
}
