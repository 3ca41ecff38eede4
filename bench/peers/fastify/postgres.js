// Fastify with postgres.js and fast-jwt, and no ORM: one prepared statement an operation, verified tokens cached.
// postgres.js takes PGHOST, PGPORT, PGUSER and PGDATABASE from the environment.
import { createVerifier } from "fast-jwt";
import postgres from "postgres";
import { owned, serve } from "./app.js";

const sql = postgres({ max: 10, types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } } });
const key = process.env.BETTER_AUTH_SECRET;
const verify = createVerifier({ key, algorithms: ["HS256"], requiredClaims: ["exp", "sub"], cache: 10000 });

/** Return the row of a statement that names the owner; where there is none, find out whether it is another user's. */
async function ownedRow(rows, userId, id) {
  const [row] = await rows;
  if (row) return row;
  const [other] = await sql`select user_id from tasks where id = ${id}`;
  return owned(other?.user_id === userId ? undefined : other, userId);
}

const get = (userId, id) =>
  ownedRow(sql`select * from tasks where id = ${id} and user_id = ${userId}`, userId, id);

await serve(verify, {
  get,
  list: (userId, status) =>
    status === "all"
      ? sql`select * from tasks where user_id = ${userId} order by id`
      : sql`select * from tasks where user_id = ${userId} and completed = ${status === "completed"} order by id`,
  async create(userId, { title, description = null }) {
    const [created] = await sql`
      insert into tasks (user_id, title, description) values (${userId}, ${title}, ${description}) returning *`;
    return created;
  },
  async update(userId, id, values) {
    if (!Object.keys(values).length) return get(userId, id);
    const changed = sql`
      update tasks set ${sql(values)}, updated_at = clock_timestamp()
      where id = ${id} and user_id = ${userId} returning *`;
    return ownedRow(changed, userId, id);
  },
  remove: (userId, id) =>
    ownedRow(sql`delete from tasks where id = ${id} and user_id = ${userId} returning *`, userId, id),
  toggle(userId, id) {
    const toggled = sql`
      update tasks set completed = not completed, updated_at = clock_timestamp()
      where id = ${id} and user_id = ${userId} returning *`;
    return ownedRow(toggled, userId, id);
  },
});
