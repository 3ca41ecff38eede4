#!/usr/bin/env bash
# better-auth 1.7.25, its jwt plugin with jwks.rotationInterval, on the memory adapter and Node 20.20 (PostgreSQL is no
# different: the adapter's findMany reads 100 rows where no limit is given).
#
# Valid input: a plugin that has rotated its key 100 times; each old key is past its expiresAt and its gracePeriod.
# Behaviour: the plugin looks for the newest key among the first 100 rows of `jwks` only. With 100 expired rows it finds
# none, so that every token gets a key of its own, which the key set does not have: no token can be verified, and the
# table grows by a row a token. With 99 rows, or once the expired rows are deleted, all is well.
#
# Output seen:
#   rotations  99: kids of 2 tokens 1, in the key set 2 of 2, rows 100
#   rotations 100: kids of 2 tokens 2, in the key set 0 of 2, rows 102
#   expired rows deleted: kids of 2 tokens 1, in the key set 2 of 2, rows 2
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts better-auth@1.7.25 2>/dev/null

cat > rotate.mjs <<'EOF'
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

async function see(name, rotations, remedy) {
  const db = { user: [], session: [], account: [], verification: [], jwks: [] };
  const auth = betterAuth({
    baseURL: "http://localhost:3000",
    secret: "made up for this script, and guards nothing",
    database: memoryAdapter(db),
    plugins: [jwt({ jwks: { rotationInterval: 3600, gracePeriod: 3600 } })],
  });
  const sign = async () => (await auth.api.signJWT({ body: { payload: { sub: "me" } } })).token;
  const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
  for (let i = 0; i < rotations; i++) {
    await sign();
    for (const key of db.jwks) key.expiresAt = new Date(Date.now() - 7_200_000); // two hours ago
  }
  if (remedy) db.jwks.splice(0, db.jwks.length - 1);
  const kids = [kid(await sign()), kid(await sign())];
  const published = (await auth.api.getJwks()).keys.map((key) => key.kid);
  const found = kids.filter((one) => published.includes(one)).length;
  const seen = `kids of 2 tokens ${new Set(kids).size}, in the key set ${found} of 2, rows ${db.jwks.length}`;
  console.log(`${name}: ${seen}`);
  return seen;
}

const seen = [
  await see("rotations  99", 99),
  await see("rotations 100", 100),
  await see("expired rows deleted", 100, true),
];
const expected = [
  "kids of 2 tokens 1, in the key set 2 of 2, rows 100",
  "kids of 2 tokens 2, in the key set 0 of 2, rows 102",
  "kids of 2 tokens 1, in the key set 2 of 2, rows 2",
];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF
node rotate.mjs
