// The jwt plugin with options, as JSON; without a table for its keys; with no more than the claims that are needed.
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

const { OPTIONS, LEAN, NO_TABLE } = process.env;
const options = JSON.parse(OPTIONS ?? "{}");

export const auth = betterAuth({
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], ...(NO_TABLE ? {} : { jwks: [] }) }),
  emailAndPassword: { enabled: true },
  plugins: [jwt(LEAN ? { ...options, jwt: { definePayload: () => ({}) } } : options)],
});
