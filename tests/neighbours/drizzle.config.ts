import { defineConfig } from "drizzle-kit";

const { DATABASE_URL, SCHEMA = "./schema.ts", TABLES } = process.env;

export default defineConfig({
  dialect: "postgresql",
  schema: SCHEMA,
  dbCredentials: { url: DATABASE_URL! },
  tablesFilter: TABLES?.split(" "),
});
