//! The world by scenes: one promise each.

mod adoption;
mod anew;
mod cpus;
mod devices;
mod grow;
mod health;
mod hooks;
mod in_place;
mod init;
mod late;
mod life;
mod node;
mod objects;
mod policies;
mod pressure;
mod resize;
mod room;
mod storage;
mod together;

use super::{World, WorldConfig, scene::*, step};
use crate::{
    action::{ActionKind, Plan},
    check::{Standing, Verdict},
    event::{
        Checkpoint, ContainerMemory, ContainerRecord, EndReason, Event, Exit, FailReason, Inventory, LastRun,
        Outcome, RecordState, SandboxRecord,
    },
    ids::ContainerId,
    manifest::{DesiredPod, types::RestartPolicy},
    time::{Mono, Now, Wall},
};
use std::{collections::BTreeMap, sync::Arc};

fn web() -> DesiredPod {
    pod("web", 1, &["app=nginx"], RestartPolicy::Always)
}

/// Of a pod of which nothing has happened yet.
fn blank_checkpoint(pod: &DesiredPod, boot: &str) -> Checkpoint {
    Checkpoint {
        uid: pod.uid.clone(),
        boot_id: boot.to_owned(),
        started: Now::default(),
        active: None,
        terminating: None,
        ending: None,
        expired: false,
        evicted: None,
        containers: BTreeMap::new(),
        lineage: None,
    }
}

fn running(pod: &DesiredPod) -> Scene {
    let mut scene = Scene::new();
    scene.desire(&[pod]);
    scene.settle();
    scene
}
