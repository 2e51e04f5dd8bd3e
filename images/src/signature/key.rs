//! Public keys in PEM (`-----BEGIN PUBLIC KEY-----`, as `cosign` and `openssl` write them): ECDSA over P-256 and
//! Ed25519. Another kind is refused by name of what is supported. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// SubjectPublicKeyInfo up to the point of a P-256 key (RFC 5480), uncompressed.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same of an Ed25519 key (RFC 8410).
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that signatures are held against.
#[derive(Debug, Clone)]
pub(super) enum Key {
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl Key {
    /// Reads a key in PEM.
    pub(super) fn parse(pem: &str) -> Result<Self, String> {
        let der = der(pem).ok_or("it is no public key in PEM (-----BEGIN PUBLIC KEY-----)")?;
        let broken = |_| "the point of the key is not on its curve".to_owned();
        if let Some(point) = der.strip_prefix(&P256_HEAD) {
            return p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::P256).map_err(broken);
        }
        if let Some(point) = der.strip_prefix(&ED25519_HEAD) {
            let point = point.try_into().map_err(|_| "an Ed25519 key has 32 bytes".to_owned())?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(point).map_err(broken)?;
            return Ok(Self::Ed25519(Box::new(key)));
        }
        Err("its kind is not supported: ECDSA P-256 and Ed25519 are".into())
    }

    /// Whether this key made the signature (base64) over `payload`. ECDSA signs its SHA-256, in DER form.
    pub(super) fn signed(&self, payload: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
        match self {
            Self::P256(key) => {
                use p256::ecdsa::{Signature, signature::Verifier as _};
                Signature::from_der(&signature).is_ok_and(|signature| key.verify(payload, &signature).is_ok())
            }
            Self::Ed25519(key) => {
                let parsed = ed25519_dalek::Signature::from_slice(&signature);
                parsed.is_ok_and(|signature| key.verify_strict(payload, &signature).is_ok())
            }
        }
    }
}

/// What stands between the two lines of PEM.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}
