#!/usr/bin/env bash
# better-auth 1.7.25, its jwt plugin, on the memory adapter and Node 20.20.
#
# Valid input: an application whose jwt plugin has made its key, and then gets jwks.keyPairConfig (ES256), or
# jwks.rotationInterval (1 s).
# Behaviour: neither option has an effect, and nothing says so. The EdDSA key goes on signing, because the plugin falls
# back to the newest key of any kind where it has none of the configured one; and it is never replaced, because it was
# stored without expiresAt. Once its row is deleted, or has an expiresAt, the next token has a key as configured.
#
# Output seen:
#   keyPairConfig ES256: EdDSA, after DELETE: ES256
#   rotationInterval 1 s, 1.2 s later: the same key, after expiresAt is set: another key
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts better-auth@1.7.25 2>/dev/null

cat > options.mjs <<'EOF'
import { setTimeout as sleep } from "node:timers/promises";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

const empty = () => ({ user: [], session: [], account: [], verification: [], jwks: [] });

/** The header of a token that the plugin signs with these options. */
async function header(db, jwks) {
  const auth = betterAuth({
    baseURL: "http://localhost:3000",
    secret: "made up for this script, and guards nothing",
    database: memoryAdapter(db),
    plugins: [jwt({ jwks })],
  });
  const { token } = await auth.api.signJWT({ body: { payload: { sub: "me" } } });
  return JSON.parse(Buffer.from(token.split(".")[0], "base64url"));
}

let db = empty();
await header(db);
const ES256 = { keyPairConfig: { alg: "ES256" } };
const kind = (await header(db, ES256)).alg;
db.jwks.length = 0;
const seen = [`keyPairConfig ES256: ${kind}, after DELETE: ${(await header(db, ES256)).alg}`];

db = empty();
const { kid } = await header(db);
const name = async () => ((await header(db, { rotationInterval: 1 })).kid === kid ? "the same key" : "another key");
await name();
await sleep(1200);
const later = await name();
db.jwks[0].expiresAt = new Date();
seen.push(`rotationInterval 1 s, 1.2 s later: ${later}, after expiresAt is set: ${await name()}`);

console.log(seen.join("\n"));
const expected = [
  "keyPairConfig ES256: EdDSA, after DELETE: ES256",
  "rotationInterval 1 s, 1.2 s later: the same key, after expiresAt is set: another key",
];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF
node options.mjs
