// The six routes, as Fastify's guides write them: schemas in and out, a hook for the token, a handler for errors.
// The two peers in Node differ in how a token is verified and how tasks are stored.
import cors from "@fastify/cors";
import Fastify from "fastify";

const string = (limits) => ({ type: "string", ...limits });
const title = string({ minLength: 1, maxLength: 200, pattern: "\\S" });
const description = string({ maxLength: 1000, nullable: true });
const moments = { created_at: string({ format: "date-time" }), updated_at: string({ format: "date-time" }) };
const identity = { id: { type: "integer" }, user_id: string() };
const task = {
  type: "object",
  properties: { ...identity, title: string(), description, completed: { type: "boolean" }, ...moments },
};
const params = { type: "object", properties: { id: { type: "integer", minimum: 1 } } };
const status = string({ enum: ["all", "pending", "completed"], default: "all" });
const querystring = { type: "object", properties: { status } };
const update = { type: "object", properties: { title, description } };
const create = { ...update, required: ["title"] };

const httpError = (statusCode, detail) => Object.assign(new Error(detail), { statusCode });

/** Return a task that is the user's, or throw. */
export function owned(found, userId) {
  if (!found) throw httpError(404, "Task not found");
  if (found.user_id !== userId) throw httpError(403, "You do not own this task");
  return found;
}

const given = ({ title, description }) => ({
  ...(title !== undefined && { title: title.trim() }),
  ...(description !== undefined && { description }),
});

/** Serve the routes on a free port of the loopback address, and print it. */
export async function serve(verify, store) {
  const app = Fastify({ logger: false });
  await app.register(cors, { origin: ["http://localhost:3000"], credentials: true });

  app.decorateRequest("userId", "");
  app.addHook("onRequest", async (request) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) throw httpError(401, "Not authenticated");
    try {
      request.userId = (await verify(token)).sub;
    } catch {
      throw httpError(401, "Invalid token");
    }
  });
  app.setErrorHandler((error, _, reply) => {
    const status = error.validation ? 422 : (error.statusCode ?? 500);
    reply.code(status).send({ detail: status === 500 ? "Internal server error" : error.message });
  });

  const one = { params, response: { "2xx": task } };
  const many = { querystring, response: { 200: { type: "array", items: task } } };
  app.get("/api/tasks", { schema: many }, ({ userId, query }) => store.list(userId, query.status));
  app.post("/api/tasks", { schema: { body: create, response: one.response } }, ({ userId, body }, reply) => {
    reply.code(201);
    return store.create(userId, given(body));
  });
  const path = "/api/tasks/:id";
  app.get(path, { schema: one }, ({ userId, params }) => store.get(userId, params.id));
  app.put(path, { schema: { ...one, body: update } }, ({ userId, params, body }) =>
    store.update(userId, params.id, given(body)),
  );
  app.delete(path, { schema: one }, ({ userId, params }) => store.remove(userId, params.id));
  app.patch(`${path}/complete`, { schema: one }, ({ userId, params }) => store.toggle(userId, params.id));

  console.log(await app.listen({ host: "127.0.0.1", port: 0 }));
}
