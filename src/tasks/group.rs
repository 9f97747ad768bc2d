//! A group of tasks that stops and ends together.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::Life;

/// Tasks that are told to stop together and waited for together. Clones share the group.
#[derive(Debug, Clone)]
pub struct TaskGroup {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Default for TaskGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl TaskGroup {
    /// An empty group that nobody else stops.
    #[must_use]
    pub fn new() -> Self {
        Self { stop: CancellationToken::new(), tasks: TaskTracker::new() }
    }

    /// A group that stops when this one stops, and can be closed on its own before.
    /// Whoever makes a child closes it: this group does not wait for the child's tasks.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { stop: self.stop.child_token(), tasks: TaskTracker::new() }
    }

    /// Starts a task of the group. It should watch [`TaskGroup::stopped`] and return soon after.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        let task = task.instrument(span);
        match Life::current() {
            None => drop(self.tasks.spawn(task)),
            Some(life) => drop(self.tasks.spawn(life.run(task))),
        }
    }

    /// Starts a task that is simply dropped, at its next await, when the group stops.
    pub fn spawn_until_stopped<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Tells all tasks of the group, and of its children, to stop. Does not wait.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether the group was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until the group is told to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// The token behind [`TaskGroup::stopped`], for code that must hold its own.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Waits until the tasks of this group have ended by themselves. No task may be started any more.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Tells all tasks to stop and waits until the last one of this group has ended.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
