#!/usr/bin/env python3
"""kas_files.py FILE...: each is a kas file by kas' own schema, and includes only files that are there."""

import json
import pathlib
import sys

import jsonschema
import kas
import yaml

schema = json.loads(pathlib.Path(kas.__file__).with_name("schema-kas.json").read_text())
for name in sys.argv[1:]:
    path = pathlib.Path(name).resolve()
    config = yaml.safe_load(path.read_text())
    jsonschema.validate(config, schema)
    for include in config["header"].get("includes", []):
        # Relative to the repository.
        if not (path.parents[2] / include).is_file():
            sys.exit("%s: includes %s, which is not there" % (name, include))
