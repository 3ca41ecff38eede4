// Fastify with Drizzle on node-postgres and jose: reads before it writes, as Drizzle's guides do.
// node-postgres takes PGHOST, PGPORT, PGUSER and PGDATABASE from the environment.
import { and, asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { bigint, boolean, pgTable, text, timestamp, varchar } from "drizzle-orm/pg-core";
import { jwtVerify } from "jose";
import pg from "pg";
import { owned, serve } from "./app.js";

const moment = (name) => timestamp(name, { withTimezone: true }).notNull().defaultNow();
const tasks = pgTable("tasks", {
  id: bigint("id", { mode: "number" }).primaryKey().generatedByDefaultAsIdentity(),
  user_id: text("user_id").notNull(),
  title: varchar("title", { length: 200 }).notNull(),
  description: varchar("description", { length: 1000 }),
  completed: boolean("completed").notNull().default(false),
  created_at: moment("created_at"),
  updated_at: moment("updated_at"),
});

const db = drizzle(new pg.Pool({ max: 10 }));
const secret = new TextEncoder().encode(process.env.BETTER_AUTH_SECRET);
const rules = { algorithms: ["HS256"], requiredClaims: ["exp", "sub"] };
const verify = async (token) => (await jwtVerify(token, secret, rules)).payload;
const first = async (query) => (await query)[0];

const get = async (userId, id) => owned(await first(db.select().from(tasks).where(eq(tasks.id, id))), userId);

async function write(id, values) {
  const changes = { ...values, updated_at: new Date() };
  const written = await first(db.update(tasks).set(changes).where(eq(tasks.id, id)).returning());
  return owned(written, written?.user_id);
}

await serve(verify, {
  get,
  list(userId, status) {
    const wanted = status === "all" ? undefined : eq(tasks.completed, status === "completed");
    const where = and(eq(tasks.user_id, userId), wanted);
    return db.select().from(tasks).where(where).orderBy(asc(tasks.id));
  },
  create: (userId, values) => first(db.insert(tasks).values({ ...values, user_id: userId }).returning()),
  async update(userId, id, values) {
    const found = await get(userId, id);
    return Object.keys(values).length ? write(id, values) : found;
  },
  async remove(userId, id) {
    const found = await get(userId, id);
    await db.delete(tasks).where(eq(tasks.id, id));
    return found;
  },
  async toggle(userId, id) {
    const { completed } = await get(userId, id);
    return write(id, { completed: !completed });
  },
});
