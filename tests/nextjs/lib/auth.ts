// The tests run both ways of docs/better-auth.md; an application has one of these two files as its lib/auth.ts.
import { auth as eddsa } from "./auth/eddsa";
import { auth as hs256 } from "./auth/hs256";

export const auth = process.env.SIGNING === "eddsa" ? eddsa : hs256;
