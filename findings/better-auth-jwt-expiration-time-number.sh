#!/usr/bin/env bash
# better-auth 1.7.25, its jwt plugin.
#
# jwt.expirationTime may be a number by its type. It is taken for a point in time, seconds since 1970, and not for a
# lifetime as session.expiresIn and session.cookieCache.maxAge of the same library are: expirationTime: 900 signs tokens
# that expired in 1970, without a warning. "15m" is 15 minutes from now on.
#
# Seen: "number: exp - iat = -1795878000 or so, exp = 900; string: exp - iat = 900".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund better-auth@1.7.25
cat >run.mjs <<'JS'
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

async function claims(expirationTime) {
  const auth = betterAuth({
    baseURL: "http://localhost:3000",
    secret: "made-up-secret-of-at-least-32-bytes",
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    emailAndPassword: { enabled: true },
    plugins: [jwt({ jwt: { expirationTime } })],
  });
  const body = { name: "user", email: "user@example.com", password: "a password" };
  const { headers } = await auth.api.signUpEmail({ body, returnHeaders: true });
  const cookie = headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  const { token } = await auth.api.getToken({ headers: new Headers({ cookie }) });
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
}

const number = await claims(900);
const string = await claims("15m");
console.log(`number: exp - iat = ${number.exp - number.iat}, exp = ${number.exp}; string: exp - iat = ${string.exp - string.iat}`);
process.exit(number.exp === 900 && string.exp - string.iat === 900 ? 0 : 1);
JS
BETTER_AUTH_TELEMETRY=0 node run.mjs
