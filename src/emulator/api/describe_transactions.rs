//! DescribeTransactions 0.

use std::ops::RangeInclusive;

use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionalId};

use super::{Api, Call};

pub(crate) struct DescribeTransactions;

impl Api for DescribeTransactions {
    type Request = DescribeTransactionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const SHAPE: &'static str = "[s]";

    async fn answer(call: Call, request: DescribeTransactionsRequest) -> Option<DescribeTransactionsResponse> {
        let describe = |id: &TransactionalId| {
            let state = call.lock();
            match call.check().and_then(|()| state.check_coordinator(call.broker, id)) {
                Ok(()) => state.coordinators.transactions.describe(id),
                Err(error) => {
                    TransactionState::default().with_transactional_id(id.clone()).with_error_code(error.code())
                }
            }
        };
        let described = request.transactional_ids.iter().map(describe).collect();
        Some(DescribeTransactionsResponse::default().with_transaction_states(described))
    }
}
