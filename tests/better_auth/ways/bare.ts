// HS256 without iss and aud, and with users' ids of another form.
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import { database } from "./database.js";

const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

export const auth = betterAuth({
  database,
  advanced: { database: { generateId: process.env.IDS as "uuid" | "serial" } },
  emailAndPassword: { enabled: true },
  plugins: [
    jwt({
      jwks: { remoteUrl: "https://unused.example", keyPairConfig: { alg: "ES256" } },
      jwt: {
        sign: ({ iss, aud, ...payload }) => new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).sign(secret),
      },
    }),
  ],
});
