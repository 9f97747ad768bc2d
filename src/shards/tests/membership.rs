use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::shards::{GroupMember, MemberError, MembershipEnd, Ownership, keep_membership};

type Script<'a> = VecDeque<Box<dyn FnOnce() -> Result<(), MemberError> + 'a>>;

/// A member whose polls are written down beforehand; after the last one the loop is told to stop.
struct Scripted<'a> {
    script: Script<'a>,
    stop: &'a CancellationToken,
    ends: &'a RefCell<Vec<usize>>,
    ownership: &'a Ownership<u32>,
}

impl GroupMember for Scripted<'_> {
    fn poll(&mut self, _timeout: Duration) -> Result<(), MemberError> {
        if let Some(step) = self.script.pop_front() {
            return step();
        }
        self.stop.cancel();
        Ok(())
    }
}

impl Drop for Scripted<'_> {
    fn drop(&mut self) {
        self.ends.borrow_mut().push(self.ownership.grants().len());
    }
}

const NEVER: Duration = Duration::from_mins(10);

fn run(ownership: &Ownership<u32>, pause_max: Duration, lives: Vec<Script<'_>>) -> (MembershipEnd, Vec<usize>) {
    let stop = CancellationToken::new();
    let ends = RefCell::new(Vec::new());
    let mut lives = VecDeque::from(lives);
    let join = || {
        let script = lives.pop_front().unwrap_or_default();
        Ok(Scripted { script, stop: &stop, ends: &ends, ownership })
    };
    let end = keep_membership(join, ownership, pause_max, &stop);
    (end, ends.into_inner())
}

fn ownership() -> Ownership<u32> {
    Ownership::new(NEVER)
}

#[test]
fn an_obstacle_is_one_only_without_a_membership() {
    let ownership = Ownership::<u32>::new(Duration::from_mins(1));
    ownership.pulse().beat();
    ownership.hinder("no permission".to_owned());
    assert_eq!(ownership.obstacle().as_deref(), Some("no permission"));
    ownership.assign(&[1], 1);
    assert_eq!(ownership.obstacle(), None);
    // Who is a member and meets a difficulty is no less a member.
    ownership.hinder("a passing one".to_owned());
    assert_eq!(ownership.obstacle(), None);
    ownership.lose_all();
    assert_eq!(ownership.obstacle(), None);
}

#[test]
fn losing_the_membership_loses_all_shards_before_the_member_leaves_and_joins_again() {
    let ownership = ownership();
    let first = RefCell::new(None);
    let lives = vec![
        Script::from([
            Box::new(|| {
                ownership.assign(&[1, 2], 1);
                *first.borrow_mut() = ownership.grants().into_iter().next();
                Ok(())
            }) as Box<dyn FnOnce() -> _>,
            Box::new(|| Err(MemberError::Lost("session over".to_owned()))),
        ]),
        Script::from([Box::new(|| {
            assert!(ownership.membership().is_none());
            assert!(!first.borrow().as_ref().unwrap().is_held());
            ownership.assign(&[1], 2);
            Ok(())
        }) as Box<dyn FnOnce() -> _>]),
    ];
    let (end, ends) = run(&ownership, NEVER, lives);
    assert_eq!(end, MembershipEnd::Stopped);
    assert_eq!(ends, [0, 0], "nothing may be ours while a member is dropped");
}

#[test]
fn a_pause_of_the_process_loses_everything_first() {
    let ownership = ownership();
    let lives = vec![Script::from([
        Box::new(|| {
            ownership.assign(&[1], 1);
            Ok(())
        }) as Box<dyn FnOnce() -> _>,
        Box::new(|| {
            std::thread::sleep(Duration::from_millis(350));
            // What the coordinator said long ago comes out of the poll after the pause.
            ownership.assign(&[2], 2);
            Ok(())
        }),
        Box::new(|| panic!("polled again after the pause")),
    ])];
    let (end, ends) = run(&ownership, Duration::from_millis(300), lives);
    assert_eq!(end, MembershipEnd::Stopped);
    assert_eq!(ends.first(), Some(&0));
}

#[test]
fn a_member_that_is_fenced_again_and_again_stays_away() {
    let ownership = ownership();
    let life = || {
        Script::from([
            Box::new(|| {
                ownership.assign(&[1], 1);
                Ok(())
            }) as Box<dyn FnOnce() -> _>,
            Box::new(|| Err(MemberError::Fenced("another one".to_owned()))),
        ])
    };
    let (end, ends) = run(&ownership, NEVER, vec![life(), life(), life(), life()]);
    assert_eq!(end, MembershipEnd::Fenced("another one".to_owned()));
    assert_eq!(ends, [0, 0, 0], "each life had given up its shards when it ended");
    assert!(ownership.grants().is_empty());
}

#[test]
fn a_member_that_is_fenced_once_joins_again() {
    let ownership = ownership();
    let fenced =
        Script::from([Box::new(|| Err(MemberError::Fenced("a new coordinator".to_owned()))) as Box<dyn FnOnce() -> _>]);
    let (end, ends) = run(&ownership, NEVER, vec![fenced, Script::new()]);
    assert_eq!((end, ends.len()), (MembershipEnd::Stopped, 2));
}
