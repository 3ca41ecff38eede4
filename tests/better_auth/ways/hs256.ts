import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import { database } from "./database.js";

const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

export const auth = betterAuth({
  database,
  emailAndPassword: { enabled: true },
  plugins: [
    jwt({
      // The plugin insists on both where there is a `sign`; neither is used to sign.
      jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
      jwt: {
        sign: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret),
      },
    }),
  ],
});
