//! ListTransactions 0 to 1: those that this broker coordinates.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ListTransactionsRequest, ListTransactionsResponse};

use super::{Api, Call, text};
use crate::emulator::transactions::Transactions;

pub(crate) struct ListTransactions;

impl Api for ListTransactions {
    type Request = ListTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const SHAPE: &'static str = "[s][8] 8@1";

    async fn answer(call: Call, request: ListTransactionsRequest) -> Option<ListTransactionsResponse> {
        if let Err(error) = call.check() {
            return Some(ListTransactionsResponse::default().with_error_code(error.code()));
        }
        let now_ms = call.cluster.now_ms();
        let state = call.lock();
        if state.brokers.get(&call.broker).is_some_and(|broker| broker.is_loading) {
            let error = ResponseError::CoordinatorLoadInProgress;
            return Some(ListTransactionsResponse::default().with_error_code(error.code()));
        }
        let states: Vec<&str> = request.state_filters.iter().map(|name| &**name).collect();
        let producer_ids: Vec<i64> = request.producer_id_filters.iter().map(|id| id.0).collect();
        let unknown = Transactions::unknown_states(&states).into_iter().map(text).collect();
        let mut listed = state.coordinators.transactions.list(&states, &producer_ids, request.duration_filter, now_ms);
        listed.retain(|one| state.coordinator_of(&one.transactional_id) == Some(call.broker));
        let response = ListTransactionsResponse::default().with_unknown_state_filters(unknown);
        Some(response.with_transaction_states(listed))
    }
}
