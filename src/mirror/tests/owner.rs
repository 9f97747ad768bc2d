//! Owners of a partition, one after the other, on top of the pure parts of the data path, and what surrounds them.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Faults;
use super::broker::{Broker, Request};
use crate::batch::{Codec, Limits, Prepared, Record, SourceRun, Stamp, Step, encode_batch, prepare, split};
use crate::mirror::plan::{Plan, lay_out};
use crate::mirror::position::Position;
use crate::mirror::producer::Outcome;
use crate::mirror::reconcile::{Expectation, Finding, Observation, reconcile};
use crate::mirror::shifted::{Account, Expected, account, follow};
use crate::mirror::window::{Front, InFlight, Window};
use crate::types::{ProducerEpoch, ProducerId, Run, Sequence, SourceOffset, TargetOffset, Translation};
use crate::wire::WireError;

/// The rules, each of which can be broken.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one rule that is kept or not")]
pub(super) struct Rules {
    pub(super) looks_before_resend: bool,
    pub(super) one_before_first_ack: bool,
    pub(super) keeps_former_plan: bool,
    pub(super) reads_back: bool,
    /// Among other writers the log end says nothing.
    pub(super) asks_by_sequence: bool,
}

impl Rules {
    pub(super) const ALL: Self = Self {
        looks_before_resend: true,
        one_before_first_ack: true,
        keeps_former_plan: true,
        reads_back: true,
        asks_by_sequence: true,
    };
}

const WINDOW_MAX: usize = 5;
const GUESS: u64 = 12;
const SOURCE_RECORDS: usize = 60;
const STEPS: usize = 250;
const HEALED_STEPS: usize = 2_000;

/// A small generator: schedules must be the same on every machine.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(super) fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

struct Owner {
    position: Position,
    plan: Plan,
    window: Window,
    is_sure: bool,
    /// Requests on its connection that the broker has not read.
    line: VecDeque<Request>,
}

pub(super) struct World {
    dice: Dice,
    faults: Faults,
    /// Also when nothing goes wrong any more.
    has_others: bool,
    rules: Rules,
    /// The offsets that have a record.
    source: Vec<i64>,
    /// Those that ever had one.
    original: Vec<i64>,
    broker: Broker,
    stored: (Position, Plan),
    owner: Owner,
    /// What is left on connections that nobody listens to any more.
    late: Vec<VecDeque<Request>>,
    next_number: u64,
}

type Failed<T> = Result<T, String>;

impl World {
    pub(super) fn run(seed: u64, faults: Faults, rules: Rules) -> Failed<()> {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1);
        let mut at = 0;
        let source: Vec<i64> = std::iter::repeat_with(|| {
            at += 1 + if dice.is(6) { i64::try_from(dice.below(9)).unwrap() } else { 0 };
            at
        })
        .take(SOURCE_RECORDS)
        .collect();
        let position = Position::new(SourceOffset::ZERO, TargetOffset::ZERO, Sequence::ZERO);
        let stored = (position, Plan::default());
        let owner = Owner::new(&stored);
        let broker = Broker::default();
        let mut world = Self {
            dice,
            faults,
            has_others: faults.others,
            rules,
            original: source.clone(),
            source,
            broker,
            stored,
            owner,
            late: Vec::new(),
            next_number: 0,
        };
        world.take_over()?;
        for _ in 0..STEPS {
            world.step()?;
            world.check()?;
        }
        if faults.sweeps {
            world.late.clear();
        }
        world.faults = Faults::default();
        for _ in 0..HEALED_STEPS {
            if world.missing() == 0 && world.owner.window.is_empty() {
                break;
            }
            world.step()?;
        }
        world.check()?;
        let missing = world.missing();
        if missing > 0 { Err(format!("{missing} records never arrive")) } else { world.check_map() }
    }

    fn step(&mut self) -> Failed<()> {
        match self.dice.below(12) {
            0..=3 => self.send(),
            4..=6 => self.deliver(),
            7 if self.faults.others && self.dice.is(2) => self.broker.append_other(),
            7 => self.deliver_late(),
            8 => self.stored.0 = self.owner.position.clone(),
            9 if self.faults.answers && self.dice.is(3) => self.lose_connection(),
            10 if self.faults.owners && self.dice.is(6) => return self.replace_owner(),
            11 if self.faults.sweeps && self.dice.is(3) => self.broker.sweep(),
            11 if self.faults.snapshots && self.dice.is(3) => self.broker.restart(),
            _ => {}
        }
        self.take_answers()
    }

    /// The next records in one batch of any size.
    fn prepared(&mut self) -> Option<Prepared> {
        let last = self.owner.window.batches().last().map(|batch| batch.next_source);
        let from = last.unwrap_or_else(|| self.owner.position.source());
        let size = 1 + usize::try_from(self.dice.below(4)).unwrap();
        let record = |offset: &i64| Record {
            offset: *offset,
            timestamp: 0,
            key: None,
            value: Some(Bytes::from(offset.to_string())),
            headers: Vec::new(),
        };
        let records: Vec<Record> =
            self.source.iter().filter(|offset| **offset >= from.get()).take(size).map(record).collect();
        if records.is_empty() {
            return None;
        }
        let mut queue = VecDeque::from(split(encode_batch(&records, Codec::None).unwrap()).unwrap());
        let limits = Limits {
            batch_bytes_max: 1 << 20,
            decompressed_bytes_max: 1 << 20,
            merge_compressed_below: 0,
            records_max: 1_000,
            is_dense: false,
        };
        match prepare(&mut queue, from, &limits).unwrap() {
            Step::Send(prepared) => Some(prepared),
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self) {
        let limit = if self.rules.one_before_first_ack && !self.may_fill_window() { 1 } else { WINDOW_MAX };
        if self.owner.window.is_unsettled() || self.owner.window.under_way() >= limit {
            return;
        }
        if self.owner.window.next_waiting().is_none() {
            let Some(prepared) = self.prepared() else { return };
            let target = self.owner.window.target_end().unwrap_or_else(|| self.owner.position.place());
            if !self.owner.plan.covers(target, &prepared.runs) {
                self.store_plan(&prepared);
            }
            let runs = lay_out(target, prepared.runs.iter().copied());
            let base_sequence = self.owner.position.sequence_at(target);
            let stamp = Stamp { producer_id: ProducerId(7), producer_epoch: ProducerEpoch(0), base_sequence };
            self.owner.window.push(prepared, &stamp, runs, target);
        }
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
        let Some(batch) = self.owner.window.next_waiting() else { return };
        self.next_number += 1;
        let request = Request {
            number: self.next_number,
            sequence: self.owner.position.sequence_at(batch.target),
            records: records_of(&batch.runs),
        };
        self.owner.line.push_back(request);
        self.owner.window.mark_sent(self.next_number);
    }

    fn may_fill_window(&self) -> bool {
        let next = self.owner.window.target_end().unwrap_or_else(|| self.owner.position.place());
        let is_disputed = self.owner.plan.disputed().is_some_and(|(_, end)| next < end);
        // With sweeps all records count as old.
        self.owner.is_sure && !self.faults.sweeps && !is_disputed
    }

    fn store_plan(&mut self, next: &Prepared) {
        let start = self.owner.position.place();
        let mut known: Vec<SourceRun> =
            self.owner.window.batches().flat_map(|batch| batch.prepared.runs.iter().copied()).collect();
        known.extend(next.runs.iter().copied());
        let target = start.plus(known.iter().map(|run| run.length).sum());
        known.extend(self.owner.plan.expect(target, next.next_source, GUESS));
        let inherited = self.owner.plan.inherited().iter().filter(|run| run.target_end() > start).copied().collect();
        self.owner.plan = Plan::from_runs(lay_out(start, known), inherited).unwrap();
        self.stored = (self.owner.position.clone(), self.owner.plan.clone());
    }

    fn deliver(&mut self) {
        let Some(request) = self.owner.line.pop_front() else { return };
        let (code, base) = if self.faults.refusals && self.dice.is(4) { (6, -1) } else { self.broker.append(&request) };
        if self.faults.answers && self.dice.is(5) {
            self.owner.line.push_front(request);
            self.lose_connection();
        } else {
            let base_offset = TargetOffset::new(base).ok();
            self.owner.window.mark_answered(request.number, Outcome::Answered { code, base_offset, message: None });
        }
    }

    /// A request from a connection that was given up arrives all the same; or never.
    fn deliver_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let which = usize::try_from(self.dice.below(self.late.len() as u64)).unwrap();
        match self.late[which].pop_front() {
            // Records whose state can be swept at any time must not linger: that is what the time-out of the
            // connection is for.
            Some(request) if !self.faults.sweeps => drop(self.broker.append(&request)),
            Some(_) | None => drop(self.late.remove(which)),
        }
    }

    fn lose_connection(&mut self) {
        let line = std::mem::take(&mut self.owner.line);
        let lost = WireError::Closed { address: "broker 1".to_owned(), reason: "a test".to_owned() };
        for request in &line {
            self.owner.window.mark_answered(request.number, Outcome::Unknown(lost.clone()));
        }
        self.late.push(line);
    }

    /// The owner crashes, or freezes and never notices; another one takes over.
    fn replace_owner(&mut self) -> Failed<()> {
        let is_compacted = self.source.len() < self.original.len();
        if is_compacted && self.owner.plan.disputed().is_some() {
            // Who comes third can't tell the first one's batch from the second one's: not promised.
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.owner.line);
        if self.faults.compaction {
            // One that arrives while the log is looked at, and another one before it, can't be told apart: not promised.
            self.late.clear();
            line.truncate(1);
        }
        self.late.push(line);
        self.owner = Owner::new(&self.stored);
        if self.faults.compaction && !is_compacted && self.dice.is(2) {
            self.compact();
        }
        self.take_over()
    }

    /// The source loses some of the records that have not arrived.
    fn compact(&mut self) {
        let arrived = self.broker.own().map(|(_, source)| source).max().unwrap_or(-1);
        let (dice, last) = (&mut self.dice, self.source.last().copied());
        self.source.retain(|offset| *offset <= arrived || Some(*offset) == last || !dice.is(3));
    }

    /// How many records are on the source and not on the target.
    fn missing(&self) -> usize {
        let own: Vec<i64> = self.broker.own().map(|(_, source)| source).collect();
        self.source.iter().filter(|offset| own.binary_search(offset).is_err()).count()
    }

    /// Producer state first, then the log end: something may arrive in between.
    fn observe(&mut self) -> Observation {
        let last = self.broker.last();
        if self.dice.is(3) {
            self.deliver_late();
        }
        if self.faults.others && self.dice.is(3) {
            self.broker.append_other();
        }
        self.broker.observation(last)
    }

    fn judge(&mut self) -> (Finding, Observation) {
        let seen = self.observe();
        let (position, plan) = (&self.owner.position, &self.owner.plan);
        let acknowledged = position.target();
        let expected = Expectation {
            acknowledged,
            sequence: position.sequence(),
            planned_end: plan.end().unwrap_or(acknowledged).max(acknowledged),
            epoch: ProducerEpoch(0),
        };
        let finding = match reconcile(&expected, &seen) {
            Finding::Unproven if self.broker.is_ours((acknowledged, expected.sequence)) => Finding::Ours,
            Finding::Unproven => Finding::Foreign,
            other => other,
        };
        (finding, seen)
    }

    fn take_over(&mut self) -> Failed<()> {
        self.owner.window = self.new_window();
        self.owner.is_sure = false;
        self.owner.line.clear();
        for _ in 0..20 {
            if self.is_among_others() {
                let (account, _) = self.account();
                if let Account::Landed { landed, next } = account {
                    follow(&mut self.owner.position, &self.owner.plan, &landed, next)?;
                    self.owner.window = self.new_window();
                    self.plan_on();
                    return Ok(());
                }
                continue;
            }
            let (finding, seen) = self.judge();
            if finding == Finding::Ours {
                return self.follow_plan(seen.log_end);
            }
        }
        Err(format!("a false stop at {:?}, the log ends at {}", self.owner.position.target(), self.broker.end()))
    }

    fn follow_plan(&mut self, log_end: TargetOffset) -> Failed<()> {
        let Owner { position, plan, .. } = &mut self.owner;
        if log_end > position.target() {
            let runs = plan.between(position.target(), log_end);
            position.acknowledge(&runs).map_err(|error| error.to_string())?;
            if position.target() != log_end {
                return Err("the plan does not reach the log end".to_owned());
            }
        }
        self.plan_on();
        Ok(())
    }

    /// What a new owner plans and stores before it sends anything.
    fn plan_on(&mut self) {
        let Owner { position, plan, .. } = &mut self.owner;
        let (source, target) = (position.source(), position.place());
        let inherited = Plan::from_runs(Vec::new(), plan.inherit_from(target)).unwrap();
        let expected = if self.rules.keeps_former_plan {
            inherited.expect(target, source, GUESS)
        } else {
            vec![SourceRun { source, length: GUESS }]
        };
        *plan = Plan::from_runs(lay_out(target, expected), inherited.inherited().to_vec()).unwrap();
        self.stored = (position.clone(), plan.clone());
    }

    fn is_among_others(&self) -> bool {
        self.rules.asks_by_sequence && self.has_others
    }

    fn new_window(&self) -> Window {
        let at = self.owner.position.target();
        if self.is_among_others() { Window::among_others(at) } else { Window::default() }
    }

    fn account(&mut self) -> (Account, Expected) {
        let seen = self.observe();
        let expected = Expected::of(&self.owner.position, &self.owner.plan, ProducerEpoch(0));
        let walk = self.broker.walk(expected.from, seen.log_end);
        (account(&expected, &seen, &walk), expected)
    }

    fn settle_among_others(&mut self) -> Failed<()> {
        let (Account::Landed { landed, next }, expected) = self.account() else { return self.take_over() };
        for batch in landed {
            let place = expected.place.plus(batch.sequence.distance_from(expected.sequence));
            let end = place.plus(batch.length);
            let front = self.owner.window.batches().next().map(|front| (front.target, front.target_end));
            if front != Some((place, end)) {
                let is_disputed = self.owner.plan.disputed().is_some_and(|(from, to)| place < to && end > from);
                let is_predecessors = is_disputed && self.owner.position.place() == place;
                return if is_predecessors {
                    self.follow_predecessor(place, end, batch.target)
                } else {
                    self.take_over()
                };
            }
            let Some(front) = self.owner.window.take_landed(batch.target) else { return self.take_over() };
            if !self.is_really_ours(&front) {
                return self.follow_predecessor(place, end, batch.target);
            }
            self.acknowledge(&front)?;
        }
        if self.owner.position.sequence() != next {
            return self.take_over();
        }
        self.owner.window.wait_again();
        self.owner.is_sure = false;
        Ok(())
    }

    fn take_answers(&mut self) -> Failed<()> {
        loop {
            match self.owner.window.take_front() {
                Front::Open => return Ok(()),
                Front::Acknowledged(batch) if self.is_really_ours(&batch) => self.acknowledge(&batch)?,
                Front::Acknowledged(batch) => {
                    return self.follow_predecessor(batch.target, batch.target_end, batch.landed);
                }
                Front::Unsettled(_) => return self.settle(),
            }
        }
    }

    fn is_really_ours(&self, batch: &InFlight) -> bool {
        let is_outside = |(from, to)| batch.target_end <= from || batch.target >= to;
        !self.rules.reads_back
            || self.owner.plan.disputed().is_none_or(is_outside)
            || self.broker.holds(batch.landed, &records_of(&batch.runs))
    }

    fn acknowledge(&mut self, batch: &InFlight) -> Failed<()> {
        self.owner.position.acknowledge_at(&batch.runs, batch.landed).map_err(|error| error.to_string())?;
        self.owner.position.advance_source(batch.next_source);
        self.owner.is_sure = true;
        Ok(())
    }

    fn follow_predecessor(&mut self, from: TargetOffset, to: TargetOffset, base: TargetOffset) -> Failed<()> {
        let runs = self.owner.plan.inherited_between(from, to);
        self.owner.position.acknowledge_at(&runs, base).map_err(|error| error.to_string())?;
        self.owner.plan = self.owner.plan.without_own(to);
        self.take_over()
    }

    fn settle(&mut self) -> Failed<()> {
        self.owner.is_sure = false;
        if !self.rules.looks_before_resend {
            // As clients do that trust in the broker's memory: everything without a good answer again, as it is.
            self.owner.window.wait_again();
            return Ok(());
        }
        if self.is_among_others() {
            return self.settle_among_others();
        }
        let (finding, seen) = self.judge();
        if finding != Finding::Ours {
            return self.take_over();
        }
        let is_disputed = self.owner.plan.disputed().is_some_and(|(from, _)| from < seen.log_end);
        if is_disputed && seen.log_end > self.owner.position.target() {
            return self.settle_disputed(seen.log_end);
        }
        let Some(landed) = self.owner.window.settle(seen.log_end) else { return self.take_over() };
        for batch in &landed {
            self.acknowledge(batch)?;
        }
        self.owner.is_sure = false;
        Ok(())
    }

    fn settle_disputed(&mut self, log_end: TargetOffset) -> Failed<()> {
        while let Some(batch) = self.owner.window.settle_next(log_end) {
            if !self.is_really_ours(&batch) {
                return self.follow_predecessor(batch.target, batch.target_end, batch.landed);
            }
            self.acknowledge(&batch)?;
        }
        let at = self.owner.position.target();
        if at < log_end { self.follow_predecessor(at, log_end, at) } else { self.take_over() }
    }

    /// The log is the beginning of the source, and nothing else, but for records that have been there.
    fn check(&self) -> Failed<()> {
        let own: Vec<i64> = self.broker.own().map(|(_, source)| source).collect();
        let end = own.last().copied().unwrap_or(-1);
        let is_rising = own.windows(2).all(|two| two[0] < two[1]);
        let have_been = own.iter().all(|offset| self.original.binary_search(offset).is_ok());
        let before_end = self.source.iter().take_while(|offset| **offset <= end);
        if is_rising && have_been && before_end.clone().all(|offset| own.binary_search(offset).is_ok()) {
            return Ok(());
        }
        let at = self.source.iter().zip(&own).position(|(source, log)| source != log);
        Err(format!("the log is not the source from {at:?} on: {:?}", self.broker.log))
    }

    fn check_map(&self) -> Failed<()> {
        let map = self.owner.position.map();
        for (target, source) in self.broker.own() {
            let source = SourceOffset::new(source).unwrap();
            if map.translate(source) != Translation::Exact(target)
                || map.translate_reverse(target) != Translation::Exact(source)
            {
                return Err(format!("source {source} is at {target}, the map says {:?}", map.translate(source)));
            }
        }
        Ok(())
    }
}

impl Owner {
    fn new(stored: &(Position, Plan)) -> Self {
        let (position, plan) = stored.clone();
        Self { position, plan, window: Window::default(), is_sure: false, line: VecDeque::new() }
    }
}

fn records_of(runs: &[Run]) -> Vec<i64> {
    let offsets = |run: &Run| {
        let length = i64::try_from(run.length).unwrap();
        run.source.get()..run.source.get() + length
    };
    runs.iter().flat_map(offsets).collect()
}
