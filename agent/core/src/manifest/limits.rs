//! Every bound on a manifest, with its unit. What exceeds one is refused with a message that names it,
//! never cut in silence.

/// Bytes in one file; kubelet's bound.
pub const FILE_LEN_MAX_BYTES: usize = 10 * 1024 * 1024;
/// YAML documents in one file, empty ones not counted.
pub const DOCUMENTS_PER_FILE_MAX: usize = 256;
/// Pods in one file, over all its documents and lists.
pub const PODS_PER_FILE_MAX: usize = 256;
/// ConfigMaps, Secrets and claims in one file, over all its documents and lists.
pub const OBJECTS_PER_FILE_MAX: usize = 256;
/// Bytes of all values of a ConfigMap or Secret; Kubernetes' bound.
pub const OBJECT_LEN_MAX_BYTES: usize = 1024 * 1024;
/// Nesting of mappings and sequences in a document. The deepest place of the Pod API has about 16.
pub const DEPTH_MAX: usize = 48;
/// Values in a document after aliases and merge keys are expanded: what a billion-laughs bomb meets.
pub const NODES_PER_DOCUMENT_MAX: usize = 100_000;
/// Bytes of a mapping key; a label's longest is 317.
pub const KEY_LEN_MAX_BYTES: usize = 512;
/// Bytes of all strings of a document after aliases are expanded.
pub const TEXT_PER_DOCUMENT_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Characters in a document that can begin a YAML token, wherever they stand: bounds what the YAML
/// parser can be made to hold before it hands over anything (about 100 bytes for each).
pub const TOKENS_PER_DOCUMENT_MAX: usize = 128 * 1024;
/// `[` and `{` in a document, wherever they stand: the YAML parser's time grows with the square of
/// how deep they nest.
pub const FLOW_OPENINGS_PER_DOCUMENT_MAX: usize = 16 * 1024;
/// The same over the whole file.
pub const FLOW_OPENINGS_PER_FILE_MAX: usize = 2 * FLOW_OPENINGS_PER_DOCUMENT_MAX;
/// `%` directive lines in a document; the parser compares each with all.
pub const DIRECTIVES_PER_DOCUMENT_MAX: usize = 16;
/// Problems reported for one file; the rest are counted.
pub const PROBLEMS_PER_FILE_MAX: usize = 100;
/// Bytes read again to find the places of a file's problems; beyond it a problem is placed at its document's
/// first line.
pub const LOCATE_BUDGET_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of all annotations of a pod, keys and values; Kubernetes' bound.
pub const ANNOTATIONS_LEN_MAX_BYTES: usize = 256 * 1024;
/// Characters of a quantity.
pub const QUANTITY_LEN_MAX: usize = 64;
/// Characters of a string that a message quotes; the rest is cut.
pub const QUOTE_LEN_MAX: usize = 80;
