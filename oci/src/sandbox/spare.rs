//! The namespaces of the next pod, made ahead: an empty network namespace is what a sandbox waits for
//! longest. A thread has them and sleeps until it is told whose they are; it then pins them and ends. Must
//! never be needed: without a spare, or with one that failed, the pod's namespaces are made on the spot.

use super::namespaces::{self, Pin, Traits};
use crate::error::Result;
use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Whose they are, and who waits for them to be pinned.
struct Order {
    pins: Vec<Pin>,
    traits: Traits,
    pinned: SyncSender<Result<()>>,
}

/// At most one set of namespaces that nobody has yet.
#[derive(Debug, Default)]
pub struct Spares {
    next: Mutex<Option<SyncSender<Order>>>,
}

impl Spares {
    /// Makes a set if there is none, beside everything else; returns at once. For when a pod has started:
    /// before that the machine has better things to do.
    pub fn refill(&self) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some() {
            return;
        }
        let (order, orders) = sync_channel(1);
        let thread = thread::Builder::new().name("berth-spare".into()).stack_size(namespaces::STACK_BYTES);
        if thread.spawn(move || wait(&orders)).is_ok() {
            *next = Some(order);
        }
    }

    /// A set is there, or being made.
    #[cfg(test)]
    pub(super) fn is_ready(&self) -> bool {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Pins the spare set, if there is one and it has all that `pins` want. None: make them yourself.
    pub(super) fn pin(&self, pins: &[Pin], traits: &Traits) -> Option<Result<()>> {
        if pins.len() != namespaces::KINDS.len() {
            return None;
        }
        let order = self.next.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (pinned, answer) = sync_channel(1);
        order.send(Order { pins: pins.to_vec(), traits: traits.clone(), pinned }).ok()?;
        answer.recv().ok()
    }
}

/// In a thread of its own: nothing else may run in it any more.
fn wait(orders: &Receiver<Order>) {
    if namespaces::unshare_all(&namespaces::KINDS).is_err() {
        return;
    }
    // An error: the process ends, or nobody keeps the spare.
    if let Ok(order) = orders.recv() {
        let _ = order.pinned.send(namespaces::pin(&order.pins, &order.traits));
    }
}
