//! stub
use crate::cluster::ClusterError;
/// x
#[derive(Debug, Clone)]
pub struct SourceProducers {}
impl SourceProducers {
    /// x
    #[must_use]
    pub fn new(_source: crate::cluster::Cluster, _target: String) -> Self { Self {} }
    /// x
    pub async fn read(&self) -> Result<(), ClusterError> { Ok(()) }
    /// x
    #[must_use]
    pub fn known(&self, _producer_id: i64) -> Option<bool> {
        Some(false)
    }
    /// x
    pub async fn is_from_target(&self, _producer_id: i64) -> Result<bool, ClusterError> {
        Ok(false)
    }
}
