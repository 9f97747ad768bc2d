use super::*;

const PARTITION: fn() -> Place = || Place::Partition("orders".to_owned(), 0);

struct Fixture {
    transactions: Transactions,
    next_id: i64,
}

impl Fixture {
    fn new() -> Self {
        Self { transactions: Transactions::new(TransactionSettings::default(), 0), next_id: 1_000 }
    }

    fn init(&mut self, now: i64) -> Result<Holder, ResponseError> {
        self.init_as(None, now)
    }

    fn init_as(&mut self, expected: Option<Holder>, now: i64) -> Result<Holder, ResponseError> {
        let Self { transactions, next_id } = self;
        let mut allocate = || {
            *next_id += 1;
            *next_id - 1
        };
        transactions.init("t", 60_000, expected, &mut allocate, now)
    }

    fn write_markers(&mut self, now: i64) -> Vec<Marker> {
        let markers = self.transactions.markers();
        for (id, marker) in &markers {
            self.transactions.written(id, marker, now);
        }
        markers.into_iter().map(|(_, marker)| marker).collect()
    }

    fn state(&self) -> String {
        self.transactions.describe("t").transaction_state.to_string()
    }
}

#[test]
fn each_holder_gets_the_next_epoch_and_the_former_one_is_fenced() {
    let mut fixture = Fixture::new();
    let first = fixture.init(0).unwrap();
    let second = fixture.init(0).unwrap();
    assert_eq!((first.epoch, second.epoch, first.producer_id), (0, 1, second.producer_id));
    let refused = fixture.transactions.add("t", first, vec![PARTITION()], 0);
    assert_eq!(refused, Err(ResponseError::ProducerFenced));
    assert_eq!(fixture.transactions.add("t", second, vec![PARTITION()], 0), Ok(()));
    let other = Holder { producer_id: 7, epoch: 1 };
    assert_eq!(fixture.transactions.end("t", other, true, 0), Err(ResponseError::InvalidProducerIdMapping));
    assert_eq!(fixture.transactions.end("unknown", other, true, 0), Err(ResponseError::InvalidProducerIdMapping));
}

#[test]
fn a_transaction_is_busy_until_all_its_markers_are_written() {
    let mut fixture = Fixture::new();
    let holder = fixture.init(0).unwrap();
    let group = Place::Group("g".to_owned());
    fixture.transactions.add("t", holder, vec![PARTITION(), group.clone()], 5).unwrap();
    assert_eq!(fixture.transactions.verify("t", holder, &PARTITION()), Ok(()));
    fixture.transactions.end("t", holder, true, 6).unwrap();
    assert_eq!(fixture.state(), "PrepareCommit");
    assert_eq!(fixture.transactions.add("t", holder, Vec::new(), 7), Err(ResponseError::ConcurrentTransactions));
    assert_eq!(fixture.init(7), Err(ResponseError::ConcurrentTransactions));
    assert_eq!(fixture.transactions.end("t", holder, true, 7), Err(ResponseError::ConcurrentTransactions));
    assert_eq!(fixture.transactions.end("t", holder, false, 7), Err(ResponseError::InvalidTxnState));
    let markers = fixture.transactions.markers();
    fixture.transactions.written("t", &markers[0].1, 8);
    assert_eq!(fixture.state(), "PrepareCommit");
    let places: Vec<Place> = fixture.write_markers(9).into_iter().map(|marker| marker.place).collect();
    assert_eq!(places, [group]);
    assert_eq!(fixture.state(), "CompleteCommit");
    assert_eq!(fixture.transactions.end("t", holder, true, 10), Ok(()));
    assert_eq!(fixture.transactions.end("t", holder, false, 10), Err(ResponseError::InvalidTxnState));
    assert_eq!(fixture.transactions.verify("t", holder, &PARTITION()), Err(ResponseError::InvalidTxnState));
}

#[test]
fn a_new_holder_has_an_open_transaction_aborted_first() {
    let mut fixture = Fixture::new();
    let first = fixture.init(0).unwrap();
    fixture.transactions.add("t", first, vec![PARTITION()], 0).unwrap();
    assert_eq!(fixture.init(1), Err(ResponseError::ConcurrentTransactions));
    let markers = fixture.write_markers(2);
    assert_eq!((markers.len(), markers[0].is_commit, markers[0].holder.epoch), (1, false, 1));
    assert_eq!(fixture.init(3).unwrap().epoch, 2);
    assert_eq!(fixture.transactions.end("t", first, true, 4), Err(ResponseError::ProducerFenced));
}

#[test]
fn an_open_transaction_whose_time_is_over_is_aborted_and_its_holder_fenced() {
    let mut fixture = Fixture::new();
    let holder = fixture.init(0).unwrap();
    fixture.transactions.add("t", holder, vec![PARTITION()], 1_000).unwrap();
    fixture.transactions.tick(60_000);
    assert_eq!(fixture.state(), "Ongoing");
    fixture.transactions.tick(fixture.transactions.next_deadline());
    assert_eq!(fixture.state(), "PrepareAbort");
    assert_eq!(fixture.transactions.end("t", holder, true, 70_000), Err(ResponseError::ProducerFenced));
    fixture.write_markers(70_001);
    assert_eq!(fixture.state(), "CompleteAbort");
}

#[test]
fn the_producer_id_changes_before_the_epochs_run_out() {
    let mut fixture = Fixture::new();
    let first = fixture.init(0).unwrap();
    let mut last = first;
    for _ in 0..32_766 {
        last = fixture.init(0).unwrap();
    }
    assert_eq!((last.producer_id, last.epoch), (first.producer_id, 32_766));
    let next = fixture.init(0).unwrap();
    assert_ne!(next.producer_id, first.producer_id);
    assert_eq!(next.epoch, 0);
}

#[test]
fn a_holder_may_raise_its_own_epoch_and_repeat_that_once() {
    let mut fixture = Fixture::new();
    let first = fixture.init(0).unwrap();
    let second = fixture.init_as(Some(first), 0).unwrap();
    assert_eq!(second.epoch, 1);
    assert_eq!(fixture.init_as(Some(first), 0).unwrap(), second);
    let third = fixture.init_as(Some(second), 0).unwrap();
    assert_eq!(third.epoch, 2);
    assert_eq!(fixture.init_as(Some(first), 0), Err(ResponseError::ProducerFenced));
    let stranger = Holder { producer_id: 5, epoch: 2 };
    assert_eq!(fixture.init_as(Some(stranger), 0), Err(ResponseError::ProducerFenced));
}

#[test]
fn an_id_that_nobody_uses_expires_and_comes_back_with_another_producer_id() {
    let mut fixture = Fixture::new();
    let first = fixture.init(0).unwrap();
    let week = TransactionSettings::default().expiration_ms;
    fixture.transactions.tick(week - 1);
    assert_eq!(fixture.state(), "Empty");
    fixture.transactions.tick(week + 3_600_000);
    let gone = fixture.transactions.describe("t");
    assert_eq!(gone.error_code, ResponseError::TransactionalIdNotFound.code());
    let late = fixture.transactions.add("t", first, vec![PARTITION()], week);
    assert_eq!(late, Err(ResponseError::InvalidProducerIdMapping));
    assert_ne!(fixture.init(week).unwrap().producer_id, first.producer_id);
}

#[test]
fn lists_and_describes() {
    let mut fixture = Fixture::new();
    let holder = fixture.init(0).unwrap();
    let places = vec![Place::Partition("b".into(), 1), Place::Partition("b".into(), 0), Place::Group("g".into())];
    fixture.transactions.add("t", holder, places, 100).unwrap();
    let described = fixture.transactions.describe("t");
    let topics: Vec<(String, Vec<i32>)> =
        described.topics.iter().map(|data| (data.topic.to_string(), data.partitions.clone())).collect();
    assert_eq!(topics, [("__consumer_offsets".to_owned(), vec![103 % 50]), ("b".to_owned(), vec![0, 1])]);
    assert_eq!(described.transaction_start_time_ms, 100);
    let count = |states: &[&str], ids: &[i64], age| fixture.transactions.list(states, ids, age, 200).len();
    assert_eq!((count(&[], &[], -1), count(&["Ongoing"], &[1_000], 50)), (1, 1));
    assert_eq!((count(&["Empty"], &[], -1), count(&[], &[9], -1), count(&[], &[], 150)), (0, 0, 0));
    assert_eq!(Transactions::unknown_states(&["Ongoing", "Asleep"]), ["Asleep"]);
}

#[test]
fn refuses_what_makes_no_sense() {
    let mut fixture = Fixture::new();
    let mut allocate = || 1;
    let transactions = &mut fixture.transactions;
    assert_eq!(transactions.init("", 1, None, &mut allocate, 0), Err(ResponseError::InvalidRequest));
    for timeout_ms in [0, -1, 900_001] {
        let refused = transactions.init("t", timeout_ms, None, &mut allocate, 0);
        assert_eq!(refused, Err(ResponseError::InvalidTransactionTimeout));
    }
}
