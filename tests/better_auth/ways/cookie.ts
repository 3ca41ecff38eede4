// The session cookie cache as a JWT, which is not meant for other services.
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { database } from "./database.js";

export const auth = betterAuth({
  database,
  emailAndPassword: { enabled: true },
  session: { cookieCache: { enabled: true, strategy: "jwt" } },
  plugins: process.env.COOKIE_KEYS ? [jwt({ sessionCookieCache: true })] : [],
});
