// Where Better Auth keeps users and sessions: in memory here, in Neon in an application.
import { memoryAdapter } from "better-auth/adapters/memory";

export const database = memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] });
