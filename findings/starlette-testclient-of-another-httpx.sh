#!/usr/bin/env bash
# starlette 1.10.0 with httpx 0.28.1 and httpx2 2.16.2.
#
# Valid input: tests that give httpx's BasicAuth and URL to TestClient, and catch httpx's errors. Then httpx2 is installed, as
# a new version of any dependency may do; neither the application nor its tests import it.
# Behaviour: TestClient is made of httpx2 wherever that can be imported, so the same tests fail: its errors are not httpx's,
# and it does not take httpx's objects. Without httpx2 Starlette warns that it should be installed; with it, it is silent.
# `import httpx2 as httpx` in the tests mends them.
#
# Output seen:
#   httpx alone:       HTTPStatusError caught, BasicAuth accepted, URL accepted
#   httpx2 beside it:  HTTPStatusError of httpx2, BasicAuth TypeError, URL TypeError
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/run.py" <<'PYTHON'
import httpx
from starlette.applications import Starlette
from starlette.testclient import TestClient

client = TestClient(Starlette())


def accepts(**parameters):
    try:
        client.get(**{"url": "/"} | parameters)
    except TypeError:
        return "TypeError"
    return "accepted"


try:
    client.get("/").raise_for_status()
except httpx.HTTPStatusError:
    error = "caught"
except Exception as other:
    error = f"of {type(other).__module__}"
auth = accepts(auth=httpx.BasicAuth("user", "password"))
url = accepts(url=httpx.URL("/"))
print(f"HTTPStatusError {error}, BasicAuth {auth}, URL {url}")
PYTHON
python3 -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
install starlette==1.10.0 httpx==0.28.1
before=$("$folder/venv/bin/python" -W ignore "$folder/run.py")
install httpx2==2.16.2
after=$("$folder/venv/bin/python" -W ignore "$folder/run.py")
echo "httpx alone:       $before"
echo "httpx2 beside it:  $after"
[ "$before" = "HTTPStatusError caught, BasicAuth accepted, URL accepted" ]
[ "$after" = "HTTPStatusError of httpx2, BasicAuth TypeError, URL TypeError" ]
