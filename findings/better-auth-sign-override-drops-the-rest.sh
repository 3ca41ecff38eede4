#!/usr/bin/env bash
# better-auth 1.7.25, its jwt plugin, with jose 6.1.0, on the memory adapter and Node 20.20.
#
# Valid input: auth.api.signJWT with overrideOptions that change one option of `jwt`, the lifetime. The plugin has others
# there: issuer and audience, or a `sign` hook for HS256.
# Behaviour: the override replaces the whole of `jwt`, and nothing says so. The token has the base URL as issuer and
# audience, and verifyJWT of the same application rejects it. With the hook, the hook is not called: the token is signed
# with a key that the plugin makes now, and never serves, because the hook requires jwks.remoteUrl.
#
# Output seen:
#   issuer and audience: EdDSA, iss https://issuer.example, aud api://todo, verified
#   with an override:    EdDSA, iss http://localhost:3000, aud http://localhost:3000, rejected
#   sign hook:           HS256
#   with an override:    ES256
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts better-auth@1.7.25 jose@6.1.0 2>/dev/null
cat > run.mjs <<'EOF'
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";

const secret = "a-secret-for-this-script-that-guards-nothing"; // made up
const sign = (payload) =>
  new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
const seen = [];

function application(options) {
  const database = memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] });
  return betterAuth({ baseURL: "http://localhost:3000", secret, database, plugins: [jwt(options)] });
}

async function tell(name, { api }, overrideOptions, hasKeySet) {
  const { token } = await api.signJWT({ body: { payload: { sub: "ada" }, overrideOptions } });
  const { iss, aud } = decodeJwt(token);
  let line = `${name} ${decodeProtectedHeader(token).alg}`;
  if (hasKeySet) {
    const { payload } = await api.verifyJWT({ body: { token } });
    line += `, iss ${iss}, aud ${aud}, ${payload ? "verified" : "rejected"}`;
  }
  seen.push(line);
  console.log(line);
}

const longer = { jwt: { expirationTime: "1h" } };
const named = application({ jwt: { issuer: "https://issuer.example", audience: "api://todo" } });
await tell("issuer and audience:", named, undefined, true);
await tell("with an override:   ", named, longer, true);
const hooked = application({
  jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
  jwt: { sign },
});
await tell("sign hook:          ", hooked, undefined, false);
await tell("with an override:   ", hooked, longer, false);
const expected = [
  "issuer and audience: EdDSA, iss https://issuer.example, aud api://todo, verified",
  "with an override:    EdDSA, iss http://localhost:3000, aud http://localhost:3000, rejected",
  "sign hook:           HS256",
  "with an override:    ES256",
];
process.exit(JSON.stringify(seen) === JSON.stringify(expected) ? 0 : 1);
EOF
node run.mjs
