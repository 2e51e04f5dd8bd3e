#!/usr/bin/env python3
"""Makes an OCI image layout of one program: oci_layout.py PROGRAM ARCHITECTURE NAME DIRECTORY.

The same program gives the same layout, bit by bit.
"""

import hashlib
import io
import json
import pathlib
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def layer(program):
    """A layer with the program at its top, as bytes."""
    content = program.read_bytes()
    entry = tarfile.TarInfo(program.name)
    entry.size, entry.mode = len(content), 0o755
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def main(program, architecture, name, directory):
    blobs = pathlib.Path(directory, "blobs", "sha256")
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(media_type, content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}

    def document(media_type, value):
        return blob(media_type, json.dumps(value, sort_keys=True).encode())

    packed = blob(LAYER, layer(pathlib.Path(program)))
    config = document(CONFIG, {
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [packed["digest"]]},
    })
    manifest = document(MANIFEST, {
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [packed],
    })
    manifest["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [manifest]}
    pathlib.Path(directory, "index.json").write_text(json.dumps(index, sort_keys=True))
    pathlib.Path(directory, "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


if __name__ == "__main__":
    main(*sys.argv[1:])
