#!/usr/bin/env bash
# next 16.4.6 with react 19.3.1 (Node 20.20), fetch in a route handler with `next: { revalidate: 60 }`.
#
# Valid input: the answer that is fetched has `Cache-Control: no-store`, and the request has an Authorization header.
# Behaviour: Next.js stores the answer all the same, and answers from its store for 60 s. The token is a part of the key:
# another token is fetched for itself. So a token that is used again gets an old list, and one that is new each time, as
# auth.api.getToken of Better Auth makes them, hides this but for calls within one second.
#
# Output seen:
#   token A 1, token A 1, token B 2, token A 1
# (the upstream server counts its answers)
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
export NEXT_TELEMETRY_DISABLED=1
npm install --silent --no-audit --no-fund --ignore-scripts next@16.4.6 react@19.3.1 react-dom@19.3.1 2>/dev/null

cat > upstream.mjs <<'EOF'
import { createServer } from "node:http";
let count = 0;
const server = createServer((request, response) => {
  count += 1;
  response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" }).end(String(count));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
EOF
node upstream.mjs > port & 
until [ -s port ]; do sleep 0.1; done
export UPSTREAM="http://127.0.0.1:$(cat port)"

mkdir -p app/list
cat > app/list/route.js <<'EOF'
export async function GET(request) {
  const headers = { Authorization: `Bearer ${new URL(request.url).searchParams.get("token")}` };
  const answer = await fetch(process.env.UPSTREAM, { headers, next: { revalidate: 60 } });
  return new Response(await answer.text());
}
EOF
node_modules/.bin/next build > build.log 2>&1 || { cat build.log; exit 1; }
next_port=$(node -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close(); })')
touch start.log
node node_modules/next/dist/bin/next start --port "$next_port" > start.log 2>&1 &
until grep -q Ready start.log; do sleep 0.1; done

seen=""
for token in A A B A; do
  seen="$seen${seen:+, }token $token $(curl --silent "http://127.0.0.1:$next_port/list?token=$token")"
done
echo "$seen"
[ "$seen" = "token A 1, token A 1, token B 2, token A 1" ]
