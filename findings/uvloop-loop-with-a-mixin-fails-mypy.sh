#!/usr/bin/env bash
# uvloop 0.23.0 with mypy 2.4.1 --strict, Python 3.11.
#
# Valid input: a class that derives from a mixin of one's own and uvloop.Loop, to change one method. uvloop's Loop derives from
# asyncio.AbstractEventLoop, and uvloop comes with type stubs. Behaviour: mypy reports every method of which the stubs of
# uvloop and of the standard library differ, 29 of them, at the line of the class, though the mixin is empty and nothing is
# overridden. `class Mine(uvloop.Loop)` without the mixin has no error: the differences are uvloop's own, and hidden until
# a class has two bases. asyncio.SelectorEventLoop with the same mixin has no error either.
#
# Seen:
#   Mine(uvloop.Loop): 0 errors
#   Mine(Mixin, asyncio.SelectorEventLoop): 0 errors
#   Mine(Mixin, uvloop.Loop): 29 errors
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uvloop==0.23.0 mypy==2.4.1
errors() {
    cat >mine.py <<PYTHON
import asyncio

import uvloop


class Mixin:
    pass


class Mine($1):
    pass


print(asyncio, uvloop, Mixin)
PYTHON
    { venv/bin/mypy --config-file= --strict --python-version 3.11 mine.py || true; } | grep -c ': error:' || true
}
seen=""
for bases in "uvloop.Loop" "Mixin, asyncio.SelectorEventLoop" "Mixin, uvloop.Loop"; do
    count=$(errors "$bases")
    echo "Mine($bases): $count errors"
    seen="$seen $count"
done
[ "$seen" = " 0 0 29" ]
