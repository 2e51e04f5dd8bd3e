//! Names of the Container Device Interface: `vendor/class` for a kind of device, `vendor/class=name` for one. Pure.

/// Bytes of each part; of a vendor as Kubernetes bounds the prefix of a resource's name.
const PART_LEN_MAX: usize = 63;
const VENDOR_LEN_MAX: usize = 253;

/// `vendor/class`.
pub fn is_class(kind: &str) -> bool {
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let begins = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    begins(vendor)
        && begins(class)
        && is_part(vendor, VENDOR_LEN_MAX, "_-.")
        && is_part(class, PART_LEN_MAX, "_-.")
}

/// `vendor/class=name`.
pub fn is_device(device: &str) -> bool {
    device.split_once('=').is_some_and(|(kind, name)| is_class(kind) && is_part(name, PART_LEN_MAX, "_-.:"))
}

/// The kind of the device if this is a CDI name; none if it is a path.
pub fn kind_of(device: &str) -> Option<&str> {
    if device.starts_with('/') { None } else { device.split_once('=').map(|(kind, _)| kind) }
}

/// Letters, digits and, within, these signs.
fn is_part(part: &str, len_max: usize, within: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    part.len() <= len_max
        && ends(part.chars().next())
        && ends(part.chars().next_back())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || within.contains(c))
}
