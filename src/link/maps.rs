//! The offset maps of all partitions of a link: live ones of partitions that run here, stored ones of the others.

use crate::mirror::Registry;
use crate::store::View;
use crate::sync::{Mapped, Maps};
use crate::types::{LinkName, SourceOffset, TargetOffset, TopicPartition, Translation};

/// See the module.
pub(super) struct LinkMaps {
    link: LinkName,
    registry: Registry,
    view: View,
}

impl LinkMaps {
    pub(super) fn new(link: LinkName, registry: Registry, view: View) -> Self {
        Self { link, registry, view }
    }
}

impl Maps for LinkMaps {
    fn locate(&self, partition: &TopicPartition, offset: SourceOffset) -> Option<Mapped> {
        let (translation, target_end) = self.registry.locate(&self.view, &self.link, partition, offset)?;
        Some(Mapped { translation, target_end })
    }

    fn locate_reverse(&self, partition: &TopicPartition, offset: TargetOffset) -> Option<Translation<SourceOffset>> {
        self.registry.locate_reverse(&self.view, &self.link, partition, offset)
    }
}
