// Next.js runs this once when a server starts: Better Auth makes its tables, beside the backend's.
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { getMigrations } = await import("better-auth/db/migration");
  const { auth } = await import("./lib/auth");
  await (await getMigrations(auth.options)).runMigrations();
}
