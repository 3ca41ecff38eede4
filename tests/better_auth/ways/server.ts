// A token that is made on the server, as in a server component of Next.js.
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { database } from "./database.js";

const baseURL = process.env.BASE_URL || undefined;
delete process.env.BETTER_AUTH_URL;

export const auth = betterAuth({ database, baseURL, emailAndPassword: { enabled: true }, plugins: [jwt()] });

export async function GET(request: Request): Promise<Response> {
  return Response.json(await auth.api.getToken({ headers: request.headers }));
}
