#!/usr/bin/env bash
# pytest 9.2.0 with pytest-xdist 3.8.0, the newest of both on 2026-11-28.
#
# `--dist loadgroup` promises that all tests of one @pytest.mark.xdist_group run in one worker. xdist tells the groups apart by a
# suffix that it gives to each test's private _nodeid, which pytest 9.2 does not read any more: the option is accepted, the
# mark too, nothing is said, and the tests of one group run in several workers at once. With pytest 9.1.1 it works.
# Reported in pytest-xdist issue 1386.
#
# Seen: "pytest 9.1.1: one group ran in 1 worker" and "pytest 9.2.0: one group ran in 3 workers".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/test_group.py" <<'PYTHON'
import os, pathlib, time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(12))
def test_it(number):
    time.sleep(0.2)
    with pathlib.Path("workers.txt").open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PYTHON
workers() {
    python3 -m venv "$folder/$1"
    "$folder/$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    rm -f "$folder/workers.txt"
    (cd "$folder" && "$1/bin/pytest" --quiet --numprocesses 3 --dist loadgroup test_group.py >/dev/null)
    sort -u "$folder/workers.txt" | wc -l
}
before=$(workers 9.1.1) after=$(workers 9.2.0)
echo "pytest 9.1.1: one group ran in $before worker"
echo "pytest 9.2.0: one group ran in $after workers"
[ "$before" = 1 ] && [ "$after" -gt 1 ]
