//! What the command line does with the image store. What may take long is done on a thread; what depends on who
//! uses an image is the main loop's to do.

use super::{
    ask::{Answer, Ask, Asks, Refusal, Removal, ask},
    wire::ImageOperation,
};
use crate::agent::Env;
use berth_images::{Error, ErrorKind, VerifyReport};
use serde_json::{Value, json};
use std::{fs::File, os::fd::OwnedFd, path::Path, sync::Arc};

/// Images named in one request.
const IMAGES_LEN_MAX: usize = 256;

pub(super) async fn perform(
    operation: ImageOperation,
    fds: Vec<OwnedFd>,
    asks: &Asks,
    env: Arc<Env>,
) -> Answer {
    let wanted = usize::from(matches!(operation, ImageOperation::Export { .. }));
    if fds.len() != wanted {
        let got = fds.len();
        return Err(Refusal::bad(format!("{got} descriptors beside the request, not {wanted}")));
    }
    let removal = match operation {
        ImageOperation::Remove { images, force } => {
            few(&images)?;
            Removal::Named { images, force }
        }
        ImageOperation::Prune { all, dry_run } => Removal::Unused { all, dry_run },
        other => {
            let changes = matches!(
                other,
                ImageOperation::Import { .. }
                    | ImageOperation::Pull { .. }
                    | ImageOperation::Verify { repair: true }
            );
            let file = fds.into_iter().next().map(File::from);
            let done = tokio::task::spawn_blocking(move || on_thread(other, file, &env)).await;
            if changes {
                // Fails when the agent ends.
                let _ = asks.send(Ask::ImagesChanged).await;
            }
            return done.map_err(|error| Refusal::internal(error.to_string()))?;
        }
    };
    ask(asks, |answer| Ask::RemoveImages(removal, answer)).await?
}

fn few(images: &[String]) -> Result<(), Refusal> {
    match images.len() {
        1..=IMAGES_LEN_MAX => Ok(()),
        _ => Err(Refusal::bad(format!("a request names 1 to {IMAGES_LEN_MAX} images"))),
    }
}

fn on_thread(operation: ImageOperation, file: Option<File>, env: &Env) -> Answer {
    let Env { store, platform, .. } = env;
    let answer = match operation {
        ImageOperation::Import { path } => {
            if !path.starts_with('/') {
                return Err(Refusal::bad(format!("{path:?} is no absolute path")));
            }
            let imported = store.import_path(Path::new(&path), platform).map_err(refusal)?;
            json!({"names": imported.names, "skipped": imported.skipped})
        }
        ImageOperation::Pull { image } => {
            let registries = env.registries.as_ref().ok_or_else(|| {
                Refusal::conflict("registryPullEnabled is false: this box asks no registry for images")
            })?;
            let pulled = store.pull(&image, platform, registries).map_err(refusal)?;
            json!({"name": pulled.reference, "digest": pulled.digest})
        }
        ImageOperation::Progress => {
            let item = |name: String, bytes: u64, of: u64, doing: &str| json!({"name": name, "bytes": bytes, "ofBytes": of, "doing": doing});
            let download = store.downloading().map(|d| item(d.reference, d.bytes, d.of_bytes, "fetching"));
            // A download stays until its image is unpacked, which is news then.
            let unpacking =
                store.unpacking().into_iter().map(|u| item(u.name, u.bytes, u.of_bytes, "unpacking"));
            json!({"items": unpacking.chain(download).collect::<Vec<_>>()})
        }
        ImageOperation::Export { image } => {
            let file = file.ok_or_else(|| Refusal::bad("no descriptor to write to"))?;
            let exported = store.export(&image, platform, file).map_err(refusal)?;
            json!({"name": exported.reference, "digest": exported.digest})
        }
        ImageOperation::Pin { images, keep } => {
            few(&images)?;
            for image in &images {
                let done = if keep { store.pin(image, platform) } else { store.unpin(image, platform) };
                done.map_err(refusal)?;
            }
            json!({})
        }
        ImageOperation::Inspect { image } => details(&store.inspect(&image, platform).map_err(refusal)?),
        ImageOperation::Verify { repair } => report(&store.verify(repair)),
        ImageOperation::Remove { .. } | ImageOperation::Prune { .. } => {
            return Err(Refusal::internal("this is for the main loop"));
        }
    };
    Ok(answer)
}

fn details(image: &berth_images::ImageDetails) -> Value {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| {
            json!({
                "diffId": layer.diff_id, "bytes": layer.bytes, "entries": layer.entries, "directory": layer.dir,
                "source": layer.source, "fsVerity": layer.fs_verity,
            })
        })
        .collect();
    let summary = &image.summary;
    json!({
        "id": summary.id, "digest": summary.digest, "names": summary.names, "repositories": image.repositories,
        "digests": image.digests, "platform": summary.platform, "sizeBytes": summary.size_bytes,
        "uniqueBytes": summary.unique_bytes, "pinned": summary.pinned, "vendor": summary.vendor,
        "source": summary.source, "layers": layers, "config": image.config,
    })
}

fn report(report: &VerifyReport) -> Value {
    let damage: Vec<Value> = report
        .damage
        .iter()
        .map(|d| json!({"images": d.images, "what": d.what, "repaired": d.repaired, "whyNot": d.why_not}))
        .collect();
    json!({
        "images": report.images, "layers": report.layers, "unknown": report.unknown, "damage": damage,
    })
}

/// An error of the store in the API's words.
pub(crate) fn refusal(error: Error) -> Refusal {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => Refusal::not_found(message),
        ErrorKind::Registry => Refusal::internal(message),
        ErrorKind::Io | ErrorKind::NoSpace => Refusal::internal(message),
        ErrorKind::Refused => Refusal::conflict(message),
        _ => Refusal::bad(message),
    }
}
