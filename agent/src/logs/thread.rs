//! The thread on which all pumps run, with a runtime of its own. Decides nothing; ends with the agent.

use super::{
    Place,
    pump::{Calm, Limits, Pump, Scratch, Stream},
    rotation, task,
};
use berth_keeper::protocol::CONTAINERS_MAX;
use berth_oci::paths::Roots;
use std::{
    io,
    sync::{Arc, Mutex},
    thread,
};
use tokio::{runtime, sync::mpsc};

/// Containers that may wait for the thread to turn to them. One that has ended waits for its last output before
/// the keeper forgets it, so there are hardly ever more than the keeper has room for.
pub(super) const ORDERS_MAX: usize = 2 * CONTAINERS_MAX;
/// Bytes of the thread's stack; nothing on it recurses.
const STACK_LEN_BYTES: usize = 256 * 1024;

/// A container to be followed.
pub(super) struct Order {
    pub(super) place: Place,
    pub(super) streams: [Stream; 2],
    /// Tells when it is dead.
    pub(super) finished: task::Finish,
}

/// Starts the thread.
///
/// # Errors
/// When there can be no thread, no pipe or no epoll.
pub(super) fn begin(limits: Limits, roots: Roots) -> io::Result<mpsc::Sender<Order>> {
    let scratch = Arc::new(Mutex::new(Scratch::new()?));
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (orders, mut heard) = mpsc::channel(ORDERS_MAX);
    let serve = async move {
        while let Some(order) = heard.recv().await {
            follow(order, &limits, &roots, &scratch);
        }
    };
    let thread = thread::Builder::new().name("logs".into()).stack_size(STACK_LEN_BYTES);
    thread.spawn(move || runtime.block_on(serve))?;
    Ok(orders)
}

fn follow(order: Order, limits: &Limits, roots: &Roots, scratch: &Arc<Mutex<Scratch>>) {
    let Order { place, streams, finished } = order;
    if place.log.parent().is_some_and(|dir| rotation::prune_attempts(dir, place.attempt))
        && let Err(error) = berth_oci::sandbox::drop_dangling_log_links(roots)
    {
        tracing::warn!(%error, "links to removed logs stay");
    }
    let (streams, limits) = (Arc::new(streams), limits.clone());
    let open = move || Pump::open(Arc::clone(&streams), &place.log, &place.journal, limits.clone(), Calm);
    tokio::spawn(task::run(open, Arc::clone(scratch), finished));
}
