//! The session against a model of a broker's.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::session::{Ask, Session, Turn};

fn ask(offset: i64) -> Ask {
    Ask { offset, last_epoch: -1, leader_epoch: 0, bytes_max: 1 }
}

/// A broker that keeps one session.
#[derive(Default)]
struct Broker {
    id: i32,
    epoch: i32,
    parts: HashMap<u8, Ask>,
}

impl Broker {
    /// Takes a turn as KIP-227 says. Answers the session's id, or an error code.
    fn take(&mut self, turn: &Turn<u8>, has_room: bool) -> Result<i32, i16> {
        if turn.session_epoch == 0 {
            assert!(turn.forgotten.is_empty(), "a full turn forgets nothing");
            self.parts = turn.asks.iter().copied().collect();
            assert_eq!(self.parts.len(), turn.asks.len(), "a partition stands there once");
            self.id = if has_room { self.id + 1 } else { 0 };
            self.epoch = 1;
            return Ok(self.id);
        }
        if self.id == 0 || turn.session_id != self.id {
            return Err(70);
        }
        if turn.session_epoch != self.epoch {
            return Err(71);
        }
        self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        for (key, ask) in &turn.asks {
            assert_ne!(self.parts.insert(*key, *ask), Some(*ask), "told twice: {key}");
        }
        for key in &turn.forgotten {
            assert!(self.parts.remove(key).is_some(), "forgotten, but not there: {key}");
        }
        Ok(self.id)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Want(u8, i64),
    LeaveOut(u8),
    /// A request, its response, and whether the broker has room for a session.
    Turn(bool),
    /// A request that did not arrive, or whose response did not.
    Lost {
        did_arrive: bool,
    },
    /// The broker dropped its session.
    Dropped,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8_u8, 0..4_i64).prop_map(|(key, offset)| Step::Want(key, offset)),
        3 => (0..8_u8).prop_map(Step::LeaveOut),
        6 => prop::bool::weighted(0.9).prop_map(Step::Turn),
        1 => any::<bool>().prop_map(|did_arrive| Step::Lost { did_arrive }),
        1 => Just(Step::Dropped),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn after_each_turn_the_broker_holds_what_is_wanted(steps in prop::collection::vec(step(), 1..80)) {
        let (mut session, mut broker) = (Session::new(), Broker { id: 1, ..Broker::default() });
        let mut wanted = HashMap::new();
        for step in steps {
            match step {
                Step::Want(key, offset) => {
                    session.want(key, ask(offset));
                    wanted.insert(key, ask(offset));
                }
                Step::LeaveOut(key) => {
                    session.leave_out(&key);
                    wanted.remove(&key);
                }
                Step::Turn(has_room) => {
                    let mut refusals = 0;
                    loop {
                        let turn = session.next_turn();
                        match broker.take(&turn, has_room) {
                            Ok(id) => break session.accepted(id),
                            Err(70) => session.refused(),
                            Err(_) => session.lost(),
                        }
                        refusals += 1;
                        prop_assert!(refusals < 2, "a new session is begun at once");
                    }
                    prop_assert_eq!(&broker.parts, &wanted);
                    prop_assert_eq!(session.is_empty(), wanted.is_empty());
                }
                Step::Lost { did_arrive } => {
                    let turn = session.next_turn();
                    if did_arrive {
                        broker.take(&turn, true).ok();
                    }
                    session.lost();
                }
                Step::Dropped => (broker.id, broker.parts) = (broker.id + 1, HashMap::new()),
                Step::Clear => {
                    session.clear();
                    wanted.clear();
                }
            }
        }
    }
}

#[test]
fn a_turn_says_only_what_changed() {
    let mut session = Session::new();
    session.want(1, ask(0));
    session.want(2, ask(0));
    let first = session.next_turn();
    assert_eq!((first.session_id, first.session_epoch, first.asks.len()), (0, 0, 2));
    session.accepted(77);
    assert_eq!(session.next_turn(), Turn { session_id: 77, session_epoch: 1, asks: Vec::new(), forgotten: Vec::new() });
    session.accepted(77);
    session.want(1, ask(5));
    session.want(2, ask(0));
    session.leave_out(&2);
    session.want(3, ask(0));
    session.leave_out(&3);
    let turn = session.next_turn();
    assert_eq!((turn.session_epoch, turn.asks, turn.forgotten), (2, vec![(1, ask(5))], vec![2]));
    session.accepted(77);
    let end = session.close().unwrap();
    assert_eq!((end.session_id, end.session_epoch), (77, -1));
    assert_eq!(session.close(), None);
    assert_eq!(session.next_turn().session_epoch, 0);
}
