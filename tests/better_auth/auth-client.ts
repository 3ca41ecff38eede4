// The client of README's fetch, in Node, which has no cookies of its own.
import { createAuthClient } from "better-auth/client";
import { jwtClient } from "better-auth/client/plugins";

export const authClient = createAuthClient({
  baseURL: process.env.BETTER_AUTH_URL,
  plugins: [jwtClient()],
  fetchOptions: { headers: { cookie: process.env.COOKIE ?? "" } },
});
