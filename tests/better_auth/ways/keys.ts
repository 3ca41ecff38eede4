// The jwt plugin with a key of another kind, and with keys that are replaced.
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { database } from "./database.js";

const alg = process.env.ALGORITHM as "ES256";
const rotationInterval = Number(process.env.ROTATION) || undefined;

export const auth = betterAuth({
  database,
  emailAndPassword: { enabled: true },
  plugins: [jwt({ jwks: { keyPairConfig: { alg }, rotationInterval } })],
});
