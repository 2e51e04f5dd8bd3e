//! Images for Berth: references, OCI layouts and archives, a verified store, unpacking. Blocking code without
//! threads of its own but while it downloads or unpacks, to be called from any thread. Only `registry` and `http` talk to a
//! network. It never trusts content before its digest was checked, and never writes outside the store's directory.

mod ahead;
mod bounded;
pub mod build;
mod compress;
mod digest;
mod error;
pub mod gc;
pub mod http;
mod image;
pub mod limits;
mod platform;
pub mod reference;
mod registry;
mod signature;
mod source;
mod store;
mod sys;
mod tarstream;
mod tls;
mod unpack;

pub use digest::Digest;
pub use error::{Error, ErrorKind, Trouble};
pub use image::{Image, ImageConfig, ImageDetails, ImageSummary, LayerDetails};
pub use limits::Limits;
pub use platform::Platform;
pub use reference::Reference;
pub use registry::{Registries, RegistrySettings};
pub use store::{
    Baked, Damage, Download, Exported, Imported, RecoveryReport, Store, StoreConfig, Unpacking, VerifyReport,
};
