// No plugin: a route of the application's own signs for whoever has a session.
import { betterAuth } from "better-auth";
import { SignJWT } from "jose";
import { database } from "./database.js";

const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);

export const auth = betterAuth({ database, emailAndPassword: { enabled: true } });

export async function GET(request: Request): Promise<Response> {
  const session = await auth.api.getSession({ headers: request.headers });
  if (!session) return new Response(null, { status: 401 });
  const token = await new SignJWT()
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(session.user.id)
    .setIssuedAt()
    .setExpirationTime("15m")
    .sign(secret);
  return Response.json({ token });
}
