//! `v1.Volume` and its sources.

use super::{
    Field, INT32, Kind, Literal, NEEDS_CLOUD,
    handlers::{FIELD_REF, RESOURCE_FIELD_REF},
    later, never, yes,
};

const NO_CONFIG_MAPS: &str = "ConfigMaps need an API server, and there is none; use hostPath";
const NO_SECRETS: &str = "Secrets need an API server, and there is none; use hostPath";
const NO_CLAIMS: &str = "claims need an API server, and there is none; use hostPath";

/// `v1.Volume`.
pub(super) const VOLUME: &[Field] = &[
    yes("name", Kind::Text).required("name the volume"),
    yes("emptyDir", Kind::Object(EMPTY_DIR)),
    yes("hostPath", Kind::Object(HOST_PATH)),
    later("downwardAPI", Kind::Object(DOWNWARD_API)),
    later("projected", Kind::Object(PROJECTED)),
    yes("image", Kind::Object(IMAGE)),
    never("configMap", Kind::Object(CONFIG_MAP), NO_CONFIG_MAPS),
    never("secret", Kind::Object(SECRET), NO_SECRETS),
    never("persistentVolumeClaim", Kind::Object(CLAIM), NO_CLAIMS),
    never("ephemeral", Kind::Any, NO_CLAIMS),
    never("csi", Kind::Any, NEEDS_CLOUD),
    later("nfs", Kind::Object(NFS)),
    later("iscsi", Kind::Any),
    later("fc", Kind::Any),
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

const DEFAULT_MODE: Field = yes("defaultMode", INT32);

const KEY_TO_PATH: Kind =
    Kind::Object(&[yes("key", Kind::Text), yes("path", Kind::Text), yes("mode", INT32)]);

const DOWNWARD_FILE: Kind = Kind::Object(&[
    yes("path", Kind::Text),
    yes("fieldRef", Kind::Object(FIELD_REF)),
    yes("resourceFieldRef", Kind::Object(RESOURCE_FIELD_REF)),
    yes("mode", INT32),
]);

const DOWNWARD_API: &[Field] = &[yes("items", Kind::List(&DOWNWARD_FILE)), DEFAULT_MODE];

const CONFIG_MAP: &[Field] = &[
    yes("name", Kind::Text),
    yes("items", Kind::List(&KEY_TO_PATH)),
    DEFAULT_MODE,
    yes("optional", Kind::Bool),
];

const SECRET: &[Field] = &[
    yes("secretName", Kind::Text),
    yes("items", Kind::List(&KEY_TO_PATH)),
    DEFAULT_MODE,
    yes("optional", Kind::Bool),
];

const PROJECTED: &[Field] = &[yes("sources", Kind::List(&Kind::Object(PROJECTION))), DEFAULT_MODE];

const PROJECTION: &[Field] = &[
    yes("downwardAPI", Kind::Object(&[yes("items", Kind::List(&DOWNWARD_FILE))])),
    never("configMap", Kind::Any, NO_CONFIG_MAPS),
    never("secret", Kind::Any, NO_SECRETS),
    never("serviceAccountToken", Kind::Any, super::NEEDS_API),
    never("clusterTrustBundle", Kind::Any, super::NEEDS_API),
    never("podCertificate", Kind::Any, super::NEEDS_API),
];

const CLAIM: &[Field] = &[yes("claimName", Kind::Text), yes("readOnly", Kind::Bool)];

const NFS: &[Field] = &[yes("server", Kind::Text), yes("path", Kind::Text), yes("readOnly", Kind::Bool)];
