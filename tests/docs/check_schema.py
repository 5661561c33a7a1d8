#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds docs/rules.schema.json against rules files: check_schema.py SOURCE-DIR. Status 77 without python3-jsonschema."""
import json
import pathlib
import re
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

source = pathlib.Path(sys.argv[1])
schema = json.loads((source / "docs/rules.schema.json").read_text())
newest = getattr(jsonschema, "Draft202012Validator", None)
if newest is None:
    print("python3-jsonschema is too old")
    sys.exit(77)
newest.check_schema(schema)
validator = newest(schema)

files = {path: path.read_text() for path in sorted((source / "tests/unit/http/json/files").glob("*.json"))}
files[source / "demo/rules.json"] = (source / "demo/rules.json").read_text()
for page in [source / "README.md", *sorted((source / "docs").rglob("*.md"))]:
    for number, block in enumerate(re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)):
        if '"rules"' in block:
            files[pathlib.Path(f"{page}, block {number + 1}")] = block

failed = 0
for path, text in files.items():
    error = next(validator.iter_errors(json.loads(text)), None)
    if (error is None) == path.name.startswith("bad-"):
        failed += 1
        print(f"{path}: {error.message if error else 'should have been refused'}")
print(f"{len(files)} files, {failed} failed")
sys.exit(1 if failed or len(files) < 20 else 0)
