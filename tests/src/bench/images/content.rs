//! The image that is measured with: the same bytes each time, and they compress to about the half, as programs do.

use berth_images::{
    Platform,
    build::{Compression, Entry, ImageBuilder},
};

/// Bytes of all files of an image.
pub(super) const IMAGE_BYTES: usize = 200 << 20;
/// Layers of an image.
const LAYERS: usize = 4;
/// Files of one directory.
const FILES_OF_DIR: usize = 64;

/// `IMAGE_BYTES` in files of `file_bytes` each.
pub(super) fn image(file_bytes: usize) -> ImageBuilder {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = vec![0; file_bytes];
    let each = IMAGE_BYTES / LAYERS / file_bytes;
    // umoci knows an image by a bare tag.
    let mut image = ImageBuilder::new(Platform::host().architecture.as_str()).annotation("latest");
    for layer in 0..LAYERS {
        let mut entries = vec![Entry::dir(&format!("l{layer}"), 0o755)];
        for number in 0..each {
            let dir = format!("l{layer}/d{}", number / FILES_OF_DIR);
            if number % FILES_OF_DIR == 0 {
                entries.push(Entry::dir(&dir, 0o755));
            }
            fill(&mut content, &mut state);
            entries.push(Entry::file(&format!("{dir}/f{number}"), 0o644, content.clone()));
        }
        image = image.layer(entries);
    }
    image.compression(Compression::Gzip)
}

/// Half of each word is noise.
fn fill(content: &mut [u8], state: &mut u64) {
    for word in content.chunks_exact_mut(8) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        word.copy_from_slice(&(*state & 0xffff_ffff).to_le_bytes());
    }
}
