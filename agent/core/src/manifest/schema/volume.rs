//! `v1.Volume` and its sources.

use super::{
    Field, Kind, Literal, NEEDS_CLOUD,
    handlers::{FIELD_REF, RESOURCE_FIELD_REF},
    later, never, yes,
};

const MOUNT_IT: &str = "mount it on the node, in /etc/fstab, say, and use hostPath of type Directory";

const NO_CLAIMS: &str = "there is nobody to make a claim for each pod; use emptyDir, or write a claim";

/// `v1.Volume`.
pub(super) const VOLUME: &[Field] = &[
    yes("name", Kind::Text).required("name the volume"),
    yes("emptyDir", Kind::Object(EMPTY_DIR)),
    yes("hostPath", Kind::Object(HOST_PATH)),
    yes("downwardAPI", Kind::Object(DOWNWARD_API)),
    yes("projected", Kind::Object(PROJECTED)),
    yes("image", Kind::Object(IMAGE)),
    yes("configMap", Kind::Object(CONFIG_MAP)),
    yes("secret", Kind::Object(SECRET)),
    yes("persistentVolumeClaim", Kind::Object(CLAIM)),
    never("ephemeral", Kind::Any, NO_CLAIMS),
    never("csi", Kind::Any, NEEDS_CLOUD),
    later("nfs", Kind::Object(NFS), MOUNT_IT),
    later("iscsi", Kind::Any, MOUNT_IT),
    later("fc", Kind::Any, MOUNT_IT),
    never("flexVolume", Kind::Any, NEEDS_CLOUD),
    never("gitRepo", Kind::Any, "Kubernetes has withdrawn it; clone into an emptyDir"),
    never("awsElasticBlockStore", Kind::Any, NEEDS_CLOUD),
    never("azureDisk", Kind::Any, NEEDS_CLOUD),
    never("azureFile", Kind::Any, NEEDS_CLOUD),
    never("cephfs", Kind::Any, NEEDS_CLOUD),
    never("cinder", Kind::Any, NEEDS_CLOUD),
    never("flocker", Kind::Any, NEEDS_CLOUD),
    never("gcePersistentDisk", Kind::Any, NEEDS_CLOUD),
    never("glusterfs", Kind::Any, NEEDS_CLOUD),
    never("photonPersistentDisk", Kind::Any, NEEDS_CLOUD),
    never("portworxVolume", Kind::Any, NEEDS_CLOUD),
    never("quobyte", Kind::Any, NEEDS_CLOUD),
    never("rbd", Kind::Any, NEEDS_CLOUD),
    never("scaleIO", Kind::Any, NEEDS_CLOUD),
    never("storageos", Kind::Any, NEEDS_CLOUD),
    never("vsphereVolume", Kind::Any, NEEDS_CLOUD),
];

const IMAGE: &[Field] = &[
    yes("reference", Kind::Text).required("the image, `registry/name:tag`"),
    yes("pullPolicy", Kind::Choice(&["Always", "IfNotPresent", "Never"])),
];

const EMPTY_DIR: &[Field] = &[yes("medium", Kind::Text), yes("sizeLimit", Kind::Quantity)];

const HOST_PATH: &[Field] = &[
    yes("path", Kind::Text).required("the path on the node"),
    yes(
        "type",
        Kind::Choice(&[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ]),
    )
    .default(Literal::Text("")),
];

const DEFAULT_MODE: Field = yes("defaultMode", Kind::Mode).default(Literal::Int(0o644));

const OPTIONAL: Field = yes("optional", Kind::Bool).or_false();

const KEY_TO_PATH: Kind = Kind::Object(&[
    yes("key", Kind::Text).required("the key in the object"),
    yes("path", Kind::Text).required("the file's path in the volume"),
    yes("mode", Kind::Mode),
]);

const DOWNWARD_FILE: Kind = Kind::Object(&[
    yes("path", Kind::Text).required("the file's path in the volume"),
    yes("fieldRef", Kind::Object(FIELD_REF)),
    yes("resourceFieldRef", Kind::Object(RESOURCE_FIELD_REF)),
    yes("mode", Kind::Mode),
]);

const DOWNWARD_API: &[Field] = &[yes("items", Kind::List(&DOWNWARD_FILE)), DEFAULT_MODE];

const CONFIG_MAP: &[Field] = &[
    yes("name", Kind::Text).required("the ConfigMap's name"),
    yes("items", Kind::List(&KEY_TO_PATH)),
    DEFAULT_MODE,
    OPTIONAL,
];

const SECRET: &[Field] = &[
    yes("secretName", Kind::Text).required("the Secret's name"),
    yes("items", Kind::List(&KEY_TO_PATH)),
    DEFAULT_MODE,
    OPTIONAL,
];

const PROJECTED: &[Field] = &[yes("sources", Kind::List(&Kind::Object(PROJECTION))), DEFAULT_MODE];

const PROJECTION: &[Field] = &[
    yes("downwardAPI", Kind::Object(&[yes("items", Kind::List(&DOWNWARD_FILE))])),
    yes("configMap", Kind::Object(PROJECTED_OBJECT)),
    yes("secret", Kind::Object(PROJECTED_OBJECT)),
    never("serviceAccountToken", Kind::Any, super::NEEDS_API),
    never("clusterTrustBundle", Kind::Any, super::NEEDS_API),
    never("podCertificate", Kind::Any, super::NEEDS_API),
];

const PROJECTED_OBJECT: &[Field] = &[
    yes("name", Kind::Text).required("the object's name"),
    yes("items", Kind::List(&KEY_TO_PATH)),
    OPTIONAL,
];

const CLAIM: &[Field] = &[
    yes("claimName", Kind::Text).required("the PersistentVolumeClaim's name"),
    yes("readOnly", Kind::Bool).or_false(),
];

const NFS: &[Field] = &[yes("server", Kind::Text), yes("path", Kind::Text), yes("readOnly", Kind::Bool)];
