"""How to fix a rejected token, and a key set that cannot be fetched: what `todo-backend check` prints."""

SIGN_HS256 = """\
    import { SignJWT } from "jose";

    const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

    export const auth = betterAuth({
      baseURL: process.env.BETTER_AUTH_URL ?? "http://localhost:3000",
      plugins: [
        jwt({
          // The plugin insists on both where there is a `sign`; neither is used to sign.
          jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
          jwt: {
            definePayload: () => ({}), // without it the whole row of the user is in the token
            sign: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret),
          },
        }),
      ],
    });"""

# By InvalidToken.hint. In braces: what the token has, and what is expected.
HINTS = {
    "algorithm": f"""\
If the jwt plugin has its default configuration, set BETTER_AUTH_URL in .env to the frontend's address,
such as http://localhost:3000, so that its key set is used; or NEON_AUTH_BASE_URL, if it is Neon Auth.
Then restart the service.
Or let the plugin sign with the shared secret. In auth.ts:

{SIGN_HS256}""",
    "audience": """\
The token has aud {aud}, and {expected} is expected.
Set BETTER_AUTH_URL in .env to Better Auth's baseURL. If the jwt plugin's options in auth.ts have `audience`,
leave it out there, or set BETTER_AUTH_AUDIENCE in .env to the same. Then restart the service.""",
    "base url": """\
Set baseURL in auth.ts: without it, auth.api.getToken() in a server component signs an empty iss.

    betterAuth({ baseURL: process.env.BETTER_AUTH_URL, ... })""",
    "bearer": """\
The header is `Authorization: Bearer TOKEN`, with the word Bearer once; --token takes TOKEN alone.""",
    "claims": """\
Where the jwt plugin has a `sign`: sign the whole payload that it gets, with new SignJWT(payload).
Where your own route signs:

    new SignJWT()
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(String(session.user.id))
      .setIssuedAt()
      .setExpirationTime("15m")
      .sign(secret);""",
    "client": """\
In auth.ts: plugins: [jwt()], from "better-auth/plugins".
In auth-client.ts: plugins: [jwtClient()], from "better-auth/client/plugins".
Then: const { data } = await authClient.token(), and send data.token.
Without a user who is signed in, data is null.""",
    "crit": """\
Leave crit out of the token's header: setProtectedHeader in auth.ts.""",
    "empty": """\
Send the token that authClient.token() returns: const { data, error } = await authClient.token(), then data.token.
Without a user who is signed in, data is null, and error says why.""",
    "expired": """\
Fetch a new one with authClient.token(). If it is new, set the clocks: here it is {now},
and the token expired at {exp}.""",
    "issued later": """\
The token was issued at {begins}, and here it is {now}. Set the clocks of both machines.""",
    "issuer": """\
The token has iss {iss}, and {expected} is expected.
Set BETTER_AUTH_URL in .env to Better Auth's baseURL. If the jwt plugin's options in auth.ts have `issuer`,
leave it out there, or set BETTER_AUTH_ISSUER in .env to the same. Then restart the service.""",
    "key set": """\
Set {variable} in .env to the Better Auth that signed the token, and restart the service.
After a change of its keys, try again in ten seconds.""",
    "malformed": """\
Copy the whole token, and nothing else: three parts of letters, digits, - and _, with a dot between them.""",
    "milliseconds": """\
The token's iat or nbf is in milliseconds. The times of a token are in seconds: Math.floor(Date.now() / 1000).""",
    "neon": """\
The token has iss {iss} and aud {aud}, and {expected} is expected.
Set NEON_AUTH_BASE_URL in .env to the Auth URL of the Neon project that signed the token,
and restart the service.""",
    "no secret": """\
Set BETTER_AUTH_SECRET in .env to the one that Better Auth has, and restart the service.""",
    "number": """\
The token expired before it was issued: jwt.expirationTime in auth.ts is a number,
which Better Auth reads as seconds since 1970. Write a duration: expirationTime: "15m".""",
    "quotes": """\
Send data.token as it is, not JSON.stringify(data.token), and paste it here without quotation marks.""",
    "secret": """\
Check that the whole token was copied.
Give both sides exactly the same BETTER_AUTH_SECRET, and restart both.""",
    "size": """\
Better Auth puts the whole user into the token, a picture included. In auth.ts:

    jwt({ jwt: { definePayload: () => ({}) } }),""",
    "type": """\
The token is for another purpose. If you sign it yourself: setProtectedHeader({ alg: "HS256", typ: "JWT" })""",
    "unsupported": f"""\
Let the jwt plugin sign with the shared secret. In auth.ts:

{SIGN_HS256}""",
    "valid later": """\
The token is valid from {begins} on, and here it is {now}. Wait, or leave nbf out of definePayload in auth.ts.
If it should be valid now, set the clocks of both machines.""",
}

# By NoKeySet.hint.
KEY_SET_HINTS = {
    "certificate": """\
If its issuer is unknown here: add the issuer to the system's certificates (Debian: package ca-certificates, command
update-ca-certificates), or name a file with its certificate in the environment: SSL_CERT_FILE=/path/to/issuer.pem
If the certificate is for another host: set {variable} in .env to the address that it is for.""",
    "certificates": """\
Correct SSL_CERT_FILE in the environment. Without it, the system's certificates are used.""",
    "empty": """\
Leave jwks.keyPairConfig out of the jwt plugin's options in auth.ts.""",
    "format": """\
That address is not Better Auth's. Set BETTER_AUTH_URL in .env to Better Auth's baseURL.
If it is a page of the application, such as its login, leave /api/auth out of the matcher of
proxy.ts (middleware.ts).""",
    "itself": """\
BETTER_AUTH_URL in .env is the address of this service. Set it to Better Auth's, which is the frontend's,
such as http://localhost:3000, or leave it out.""",
    "neon": """\
Paste the Auth URL as Neon gives it into NEON_AUTH_BASE_URL, such as
https://ep-NAME.neonauth.REGION.aws.neon.tech/neondb/auth""",
    "not found": """\
In auth.ts: plugins: [jwt()], from "better-auth/plugins".
If Better Auth is not mounted at /api/auth: set BETTER_AUTH_URL with its path, such as http://localhost:3000/auth.
If the plugin has jwks.jwksPath: set BETTER_AUTH_JWKS_URL to the whole URL.
If the plugin signs HS256 by jwt.sign: it has no key set; leave BETTER_AUTH_URL out, and set BETTER_AUTH_SECRET.""",
    "proxy": """\
The environment has an HTTP proxy. If the proxy does not reach the key set, exclude the host:
NO_PROXY={host}""",
    "proxies": """\
Correct them in the environment: a proxy is an http:// or https:// URL; SOCKS and "xn--" in NO_PROXY do not work.
To use no proxy: NO_PROXY=*""",
    "redirect": """\
Redirects are followed within an origin only.
Set BETTER_AUTH_URL in .env to the address that answers without a redirect.""",
    "status": """\
Better Auth's own log says why. Without its table jwks, run its migration: npx auth@latest migrate""",
    "tls": """\
If Better Auth answers in http, as next dev does, write http:// in place of https:// in {variable} in .env.""",
    "unreachable": """\
Start Better Auth, and set BETTER_AUTH_URL in .env to the address where it answers.""",
}
