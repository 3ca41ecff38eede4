#!/usr/bin/env bash
# httpx2 2.16.2, the newest on 2026-11-28.
#
# NO_PROXY may list domains, and an internationalised one is written in its ASCII form, as it is in DNS: xn--mnchen-3ya.example.
# With such an entry every request of the process fails, to other hosts too, and also where no proxy is set: httpx2 turns the
# entry into the pattern "all://*xn--mnchen-3ya.example", and reading its host decodes it, where the "*" is not allowed. The
# error is not an httpx2 error but idna.core.InvalidCodepoint, a ValueError, so `except httpx2.HTTPError` does not catch it.
# Entries that cannot be parsed are meant to be passed over; that code expects httpx2.InvalidURL. httpx 0.28.1 can read it.
#
# Seen: "httpx 0.28.1: 200" and "httpx2 2.16.2: InvalidCodepoint: Codepoint U+002A at position 1 of '*xn--mnchen-3ya' not allowed".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 httpx2==2.16.2
seen=$(env -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u http_proxy -u https_proxy -u all_proxy -u no_proxy \
    NO_PROXY=xn--mnchen-3ya.example "$folder/venv/bin/python" - <<'PYTHON'
import http.server, threading

import httpx, httpx2


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for library in httpx, httpx2:
        try:
            seen = library.get(f"http://127.0.0.1:{server.server_port}/").status_code
        except Exception as error:
            seen = f"{type(error).__name__}: {error}"
        print(f"{library.__name__} {library.__version__}: {seen}")
    server.shutdown()
PYTHON
)
echo "$seen"
grep -q "^httpx 0.28.1: 200" <<<"$seen" && grep -q "^httpx2 2.16.2: InvalidCodepoint" <<<"$seen"
