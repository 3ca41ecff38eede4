// The six routes, as Fastify's own guides write them: schemas in and out, one hook for the token, one for failures.
// What differs between the two peers in Node, how a token is verified and how tasks are stored, comes as arguments.
import cors from "@fastify/cors";
import Fastify from "fastify";

const task = {
  type: "object",
  properties: {
    id: { type: "integer" },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: "string", nullable: true },
    completed: { type: "boolean" },
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  },
};
const title = { type: "string", minLength: 1, maxLength: 200, pattern: "\\S" };
const description = { type: "string", maxLength: 1000, nullable: true };
const params = { type: "object", properties: { id: { type: "integer", minimum: 1 } } };
const querystring = {
  type: "object",
  properties: { status: { type: "string", enum: ["all", "pending", "completed"], default: "all" } },
};
const create = { type: "object", required: ["title"], properties: { title, description } };
const update = { type: "object", properties: { title, description } };

class Refusal extends Error {
  constructor(statusCode, detail) {
    super(detail);
    this.statusCode = statusCode;
  }
}

/** Answer a task that is the user's, or refuse. */
export function owned(found, userId) {
  if (!found) throw new Refusal(404, "Task not found");
  if (found.user_id !== userId) throw new Refusal(403, "You do not own this task");
  return found;
}

const given = ({ title, description }) => ({
  ...(title !== undefined && { title: title.trim() }),
  ...(description !== undefined && { description }),
});

/** Serve the routes on a free port of the loopback address, and say which. */
export async function serve(verify, store) {
  const app = Fastify({ logger: false });
  await app.register(cors, { origin: ["http://localhost:3000"], credentials: true });

  app.decorateRequest("userId", "");
  app.addHook("onRequest", async (request) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) throw new Refusal(401, "Not authenticated");
    try {
      request.userId = (await verify(token)).sub;
    } catch {
      throw new Refusal(401, "Invalid token");
    }
  });
  app.setErrorHandler((error, _, reply) => {
    const status = error.validation ? 422 : (error.statusCode ?? 500);
    reply.code(status).send({ detail: status === 500 ? "Internal server error" : error.message });
  });

  const one = { params, response: { "2xx": task } };
  app.get("/api/tasks", { schema: { querystring, response: { 200: { type: "array", items: task } } } }, (request) =>
    store.list(request.userId, request.query.status),
  );
  app.post("/api/tasks", { schema: { body: create, response: { 201: task } } }, async (request, reply) => {
    reply.code(201);
    return store.create(request.userId, given(request.body));
  });
  app.get("/api/tasks/:id", { schema: one }, (request) => store.get(request.userId, request.params.id));
  app.put("/api/tasks/:id", { schema: { ...one, body: update } }, (request) =>
    store.update(request.userId, request.params.id, given(request.body)),
  );
  app.delete("/api/tasks/:id", { schema: one }, (request) => store.remove(request.userId, request.params.id));
  app.patch("/api/tasks/:id/complete", { schema: one }, (request) =>
    store.toggle(request.userId, request.params.id),
  );

  console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
}
