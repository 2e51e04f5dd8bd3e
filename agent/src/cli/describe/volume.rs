//! The volumes of a pod's page. Pure.

use super::{
    super::{json, table::printable},
    page::Page,
};
use serde_json::Value;

/// All volumes of the pod.
pub(super) fn list(pod: &Value, page: &mut Page) {
    let volumes = json::list(pod, "/spec/volumes");
    if volumes.is_empty() {
        page.field(0, "Volumes", "<none>");
        return;
    }
    page.heading(0, "Volumes");
    for volume in volumes {
        page.heading(2, json::text(volume, "/name"));
        let source = json::pairs(volume, "").into_iter().find(|(key, _)| *key != "name");
        page.field(4, "Type", source.map_or("<none>", |(key, _)| title(key)));
        for (key, value) in source.map(|(key, _)| json::pairs(volume, &format!("/{key}"))).unwrap_or_default()
        {
            page.field(4, &capitalised(key), &printable(&json::plain(value)));
        }
    }
}

/// What a source of volumes is, in words.
fn title(source: &str) -> &str {
    match source {
        "emptyDir" => "EmptyDir (lives as long as the pod)",
        "hostPath" => "HostPath (of this machine's file system)",
        "image" => "Image (the content of an image, read-only)",
        "configMap" => "ConfigMap (files from a ConfigMap)",
        "secret" => "Secret (files from a Secret)",
        "downwardAPI" => "DownwardAPI (files with what the pod knows of itself)",
        "projected" => "Projected (files from several sources)",
        "persistentVolumeClaim" => {
            "PersistentVolumeClaim (a directory of this machine that outlives the pod)"
        }
        other => other,
    }
}

fn capitalised(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
