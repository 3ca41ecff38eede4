import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import { database } from "./database.js";

const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

export const auth = betterAuth({
  baseURL: process.env.BETTER_AUTH_URL ?? "http://localhost:3000",
  database,
  emailAndPassword: { enabled: true },
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
});
