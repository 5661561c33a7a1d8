#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tests that docs/http.md and docs/guarantees.md name in their tables exist: check_named_tests.py SOURCE-DIR.

A last column holds `paths`, below tests/ or of the project, where `a/b` stands for a/b_test.cpp, too. Names in quotation marks are
how tests in each of the paths before them begin: `a/b`, `a/c`: "a name", "another name"; `a/d`.
"""
import itertools
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])


def expanded(path):
    parts = [part.split(",") for part in re.split(r"[{}]", path)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def files(path):
    """What a path stands for; in a folder, all of it."""
    found = []
    for one in expanded(path):
        matches = [match for root in ("tests", ".", "include") for ending in ("", "_test.cpp", ".cpp")
                   for match in source.glob(f"{root}/{one}{ending}")]
        if not matches:
            return []
        found += matches
    return found


paths, failed = 0, []
for page in ("docs/http.md", "docs/guarantees.md"):
    rows = [line for line in (source / page).read_text().splitlines() if re.match(r"\| .*\|$", line)]
    for row in rows:
        for group in row.rstrip("| ").split(" | ")[-1].split("; ") if row.count("|") > 2 else []:
            named = re.findall(r"`([\w./*{},-]*/[\w./*{},-]*)`", group)
            names = re.findall(r'"([^"]+)"', group) if named else []
            for path in named:
                paths += 1
                found = files(path)
                if not found:
                    failed.append(f"{page}: there is no {path}")
                for name in names:
                    texts = [one.read_text() for one in found if one.is_file() and one.suffix == ".cpp"]
                    if not any(re.search(r'TEST_CASE\(\s*"(\w+: )?' + re.escape(name), text) for text in texts):
                        failed.append(f"{page}: {path} has no test \"{name}\"")
print("\n".join([*failed, f"{paths} paths, {len(failed)} failures"]))
sys.exit(1 if failed or paths < 50 else 0)
