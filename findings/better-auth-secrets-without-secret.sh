#!/usr/bin/env bash
# better-auth 1.7.25, `secrets` (versioned secrets) and the jwt plugin, on the memory adapter and Node 20.20.
#
# Valid input: an application with `secret` and a signing key moves to `secrets`, whose first entry is the same value.
# Behaviour: the session is still accepted, but no token can be signed. The private key was stored without a version, and
# such a value is decrypted with `secret` or BETTER_AUTH_SECRET alone, never with an entry of `secrets`. /get-session,
# which signs a token for its header set-auth-jwt, is a 500 too, while the key set is still served. With
# BETTER_AUTH_SECRET beside `secrets`, all of it works. With another secret, the session ends, and after the next sign-in it is
# the same 500, until the table jwks is empty.
#
# Output seen:
#   secret:                       /get-session 200, /token 200, /jwks 200
#   secrets:                      /get-session 500, /token 500, /jwks 200
#   secrets, BETTER_AUTH_SECRET:  /get-session 200, /token 200, /jwks 200
#   another secret:               /get-session 200, /token 401, /jwks 200
#   signed in again:              /get-session 500, /token 500, /jwks 200
#   without rows in jwks:         /get-session 200, /token 200, /jwks 200
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts better-auth@1.7.25 2>/dev/null

cat > secrets.mjs <<'EOF'
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

const value = "made up for this script, and guards nothing";
const db = { user: [], session: [], account: [], verification: [], jwks: [] };
const origin = "http://localhost:3000";
let cookie = "";

async function ask(options, path, body) {
  const auth = betterAuth({
    ...options,
    baseURL: origin,
    database: memoryAdapter(db),
    emailAndPassword: { enabled: true },
    plugins: [jwt()],
    logger: { disabled: true },
  });
  const headers = { "Content-Type": "application/json", Origin: origin, Cookie: cookie };
  const init = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  return auth.handler(new Request(`${origin}/api/auth${path}`, init));
}

async function see(name, options) {
  const paths = ["/get-session", "/token", "/jwks"];
  const statuses = [];
  for (const path of paths) statuses.push((await ask(options, path)).status);
  console.log(`${name.padEnd(29)} ${paths.map((path, i) => `${path} ${statuses[i]}`).join(", ")}`);
  return statuses.join();
}

console.error = () => {}; // the stack of each 500
delete process.env.BETTER_AUTH_SECRET;
const ada = { name: "Ada", email: "ada@example.com", password: "a password for tests" };
async function enter(options, path) {
  const answer = await ask(options, path, ada);
  cookie = answer.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
}
await enter({ secret: value }, "/sign-up/email");
const seen = [await see("secret:", { secret: value })];
seen.push(await see("secrets:", { secrets: [{ version: 1, value }] }));
process.env.BETTER_AUTH_SECRET = value;
seen.push(await see("secrets, BETTER_AUTH_SECRET:", { secrets: [{ version: 1, value }] }));
const other = { secret: `${value} either` };
seen.push(await see("another secret:", other));
await enter(other, "/sign-in/email");
seen.push(await see("signed in again:", other));
db.jwks.length = 0;
seen.push(await see("without rows in jwks:", other));
const expected = ["200,200,200", "500,500,200", "200,200,200", "200,401,200", "500,500,200", "200,200,200"];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF
node secrets.mjs
