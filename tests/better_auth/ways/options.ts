// The jwt plugin with options, as JSON; besides: no table for its keys, a token with no more than it needs, other ids.
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { jwt } from "better-auth/plugins";

const { OPTIONS, NO_TABLE, LEAN, IDS } = process.env;
const options = JSON.parse(OPTIONS ?? "{}");

export const auth = betterAuth({
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], ...(NO_TABLE ? {} : { jwks: [] }) }),
  advanced: { database: { generateId: IDS as "serial" } },
  emailAndPassword: { enabled: true },
  plugins: [jwt(LEAN ? { ...options, jwt: { definePayload: () => ({}) } } : options)],
});
