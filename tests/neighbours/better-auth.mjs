// Better Auth's migration as its documentation has it for scripts: https://better-auth.com/docs/concepts/database
// Prints the tables that it makes.
import { getMigrations } from "better-auth/db/migration";
import { jwt } from "better-auth/plugins";
import pg from "pg";

const database = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const { toBeCreated, runMigrations } = await getMigrations({
  baseURL: "http://localhost:3000",
  database,
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
});
await runMigrations();
await database.end();
console.log(toBeCreated.map(({ table }) => table).join(" "));
