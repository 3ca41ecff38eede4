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

async function verify(token) {
  return (await jwtVerify(token, secret, { algorithms: ["HS256"], requiredClaims: ["exp", "sub"] })).payload;
}

async function get(userId, id) {
  const [found] = await db.select().from(tasks).where(eq(tasks.id, id));
  return owned(found, userId);
}

async function write(id, values) {
  const [written] = await db
    .update(tasks)
    .set({ ...values, updated_at: new Date() })
    .where(eq(tasks.id, id))
    .returning();
  return owned(written, written?.user_id);
}

await serve(verify, {
  get,
  list(userId, status) {
    const wanted = status === "all" ? undefined : eq(tasks.completed, status === "completed");
    return db
      .select()
      .from(tasks)
      .where(and(eq(tasks.user_id, userId), wanted))
      .orderBy(asc(tasks.id));
  },
  async create(userId, values) {
    const [created] = await db
      .insert(tasks)
      .values({ ...values, user_id: userId })
      .returning();
    return created;
  },
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
