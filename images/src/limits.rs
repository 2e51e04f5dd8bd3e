//! Every bound of this crate, by name, unit last. What comes from an image, an archive or a directory is
//! held to these before memory or disk is spent on it. Nothing here is ever raised at run time except
//! through [`Limits`], which an integrator may set.

/// Longest image reference accepted.
pub const REFERENCE_MAX_BYTES: usize = 1024;
/// Longest tag (as registries have it).
pub const TAG_MAX_BYTES: usize = 128;
/// Longest name without tag and digest (as registries have it).
pub const NAME_MAX_BYTES: usize = 255;

/// Largest manifest, index or config that is read.
pub const JSON_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How deep an index may point to an index.
pub const INDEX_DEPTH_MAX_LEVELS: usize = 4;
/// Descriptors looked at in one index.
pub const INDEX_MAX_ENTRIES: usize = 1024;
/// Layers of one image.
pub const LAYERS_MAX_COUNT: usize = 256;
/// Images named in one docker archive or layout.
pub const SOURCE_IMAGES_MAX_COUNT: usize = 1024;

/// Entries looked at in one source directory.
pub const SOURCE_DIR_MAX_ENTRIES: usize = 4096;
/// Members of one archive.
pub const ARCHIVE_MAX_MEMBERS: usize = 65_536;
/// Size of one archive after its own decompression.
pub const ARCHIVE_MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Image records read at start.
pub const RECORDS_MAX_COUNT: usize = 4096;
/// Size of one record of the store.
pub const RECORD_MAX_BYTES: u64 = 1024 * 1024;
/// Snapshot directories looked at at start.
pub const SNAPSHOTS_MAX_COUNT: usize = 65_536;
/// Files removed from what a cut left in staging before the rest is left for the next occasion.
pub const SWEEP_MAX_FILES: usize = 50_000;
/// Quarantined records kept; the oldest go first.
pub const QUARANTINE_MAX_ENTRIES: usize = 32;

/// A policy file, or a key.
pub const POLICY_MAX_BYTES: u64 = 256 * 1024;
/// Signatures of one image.
pub const SIGNATURES_MAX_COUNT: usize = 32;
/// The document that a signature signs.
pub const SIGNATURE_PAYLOAD_MAX_BYTES: u64 = 16 * 1024;
/// Images remembered as let through by the policy.
pub const VERDICTS_MAX_COUNT: usize = 1024;

/// The largest window of a zstd frame: the memory that its decoder takes.
pub const ZSTD_WINDOW_MAX_BYTES: u64 = 128 * 1024 * 1024;
/// Skippable zstd frames are passed over up to this size in all.
pub const ZSTD_SKIP_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// One extended header (PAX records, GNU long name) of a tar stream.
pub const TAR_EXTENSION_MAX_BYTES: u64 = 1024 * 1024;
/// A path in a layer.
pub const PATH_MAX_BYTES: usize = 4095;
/// One component of a path in a layer.
pub const COMPONENT_MAX_BYTES: usize = 255;
/// Depth of a path in a layer.
pub const PATH_MAX_COMPONENTS: usize = 256;
/// Symbolic links followed to find one parent directory.
pub const SYMLINKS_MAX_COUNT: usize = 40;
/// Extended attributes of one file.
pub const XATTRS_MAX_COUNT: usize = 64;
/// Value of one extended attribute (the kernel's own bound).
pub const XATTR_MAX_BYTES: usize = 65_536;
/// Paths of directories whose times are set at the end of a layer: the one table that grows with a layer.
pub const DIR_TIMES_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Layers of one image that are downloaded at a time.
pub const DOWNLOADS_MAX_COUNT: usize = 3;
/// Age at which what is left of a download is given up.
pub const DOWNLOAD_KEPT_MAX_S: u64 = 7 * 24 * 3600;
/// Age up to which what is left of a download is spared when the disk is full: longer than any wait between attempts.
pub const DOWNLOAD_SPARED_MAX_S: u64 = 3600;

/// The buffer through which file content goes.
pub const COPY_BUFFER_BYTES: usize = 128 * 1024;

/// Blocks that a layer is decompressed ahead of its unpacking, beside the one that is filled and the one that is read.
pub const AHEAD_BLOCKS: usize = 4;
/// One of them.
pub const AHEAD_BLOCK_BYTES: usize = COPY_BUFFER_BYTES;
/// All of them.
pub const AHEAD_MAX_BYTES: usize = (AHEAD_BLOCKS + 2) * AHEAD_BLOCK_BYTES;
/// Of a larger layer what is unpacked is written to the disk in steps of this size, while the rest is unpacked.
pub const FLUSH_STEP_BYTES: u64 = 16 * 1024 * 1024;
/// Files of a layer whose checksums are kept from their writing until the layer is sealed; others are read again.
pub const CHECKSUMS_MAX_COUNT: usize = 65_536;

/// How long `Store::open` waits for another process to let the store go.
pub const LOCK_WAIT_MAX_MS: u64 = 10_000;

// A reference of the longest name, tag and digest can be written, an extended header can hold a path and an
// attribute, a record can hold the longest chain with room for names.
const _: () = assert!(NAME_MAX_BYTES + TAG_MAX_BYTES + 80 <= REFERENCE_MAX_BYTES);
const _: () = assert!(PATH_MAX_BYTES as u64 + XATTR_MAX_BYTES as u64 <= TAR_EXTENSION_MAX_BYTES);
const _: () = assert!(LAYERS_MAX_COUNT as u64 * 80 + JSON_MAX_BYTES / 8 <= RECORD_MAX_BYTES);
const _: () = assert!(SIGNATURES_MAX_COUNT as u64 * 2 * SIGNATURE_PAYLOAD_MAX_BYTES <= RECORD_MAX_BYTES);
const _: () = assert!(QUARANTINE_MAX_ENTRIES < RECORDS_MAX_COUNT);

/// The bounds that an integrator may want otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of file content that one layer may unpack to.
    pub layer_max_bytes: u64,
    /// Bytes of file content that one image may unpack to.
    pub image_max_bytes: u64,
    /// Entries of one layer.
    pub layer_max_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layer_max_bytes: 16 * 1024 * 1024 * 1024,
            image_max_bytes: 32 * 1024 * 1024 * 1024,
            layer_max_entries: 1_000_000,
        }
    }
}
