// The same with one table more.
import { pgTable, text } from "drizzle-orm/pg-core";

export * from "./schema";

export const account = pgTable("account", { id: text("id").primaryKey() });
