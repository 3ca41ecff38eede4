// Better Auth on a port: node build/server.js WAY PORT.
import { createServer } from "node:http";
import { toNodeHandler } from "better-auth/node";

const [way, port] = process.argv.slice(2);
const { auth, GET } = await import(`./ways/${way}.js`);
const betterAuth = toNodeHandler(auth);
const path = new URL(process.env.BETTER_AUTH_URL ?? "http://localhost").pathname;
const mount = path === "/" ? "/api/auth/" : `${path}/`;

createServer(async (request, response) => {
  if (request.url?.startsWith(mount)) {
    await betterAuth(request, response);
  } else if (request.url === "/api/token" && GET) {
    const headers = new Headers(request.headers as Record<string, string>);
    const answer: Response = await GET(new Request(`http://localhost:${port}/api/token`, { headers }));
    response.writeHead(answer.status).end(await answer.text());
  } else {
    response.writeHead(404).end();
  }
}).listen(Number(port), "localhost", () => console.log("listening"));
