//! Watches the directories where images are dropped, so that a pod that waits for one goes on at once. Only
//! says that something changed; what there is, the store finds out.

use super::{
    trace::{self, Wanted},
    watch::Watcher,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Layouts (directories) watched in one image directory; more are found by the core's own retries.
const LAYOUTS_MAX: usize = 64;

/// The watch over all image directories.
#[derive(Debug)]
pub(crate) struct ImageWatch {
    watcher: Option<Watcher>,
    paths: Vec<PathBuf>,
}

impl ImageWatch {
    /// Must be called within the runtime. Without inotify nothing is ever heard.
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        let mut watch = Self { watcher: Watcher::new().ok(), paths: paths.to_vec() };
        watch.survey();
        watch
    }

    /// Waits for a change. Safe to be dropped and called again.
    pub(crate) async fn changed(&mut self) {
        match &mut self.watcher {
            Some(watcher) => {
                if watcher.changed().await.is_err() {
                    self.watcher = None;
                }
                self.survey();
            }
            None => std::future::pending().await,
        }
    }

    fn survey(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = Wanted::new();
        for path in &self.paths {
            trace::trace(path, trace::Whole::Everything, &mut wanted);
            for layout in layouts(path) {
                trace::trace(&layout, trace::Whole::Everything, &mut wanted);
            }
        }
        watcher.set(wanted);
    }
}

fn layouts(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path.is_dir()).take(LAYOUTS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn an_archive_and_a_layout_are_heard_of() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        let mut watch = ImageWatch::new(std::slice::from_ref(&images));
        let patience = Duration::from_secs(20);
        fs::create_dir(&images).unwrap();
        tokio::time::timeout(patience, watch.changed()).await.expect("the directory came");
        fs::write(images.join("a.tar"), "x").unwrap();
        tokio::time::timeout(patience, watch.changed()).await.expect("an archive came");
        fs::create_dir(images.join("layout")).unwrap();
        tokio::time::timeout(patience, watch.changed()).await.expect("a layout came");
        fs::write(images.join("layout/index.json"), "{}").unwrap();
        tokio::time::timeout(patience, watch.changed()).await.expect("its index came");
    }
}
