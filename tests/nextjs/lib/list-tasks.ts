import { authClient } from "./auth-client";

export async function listTasks() {
  const { data, error } = await authClient.token();
  if (error) throw new Error(error.status === 401 ? "Please sign in." : "Better Auth has a problem.");
  const backend = (process.env.NEXT_PUBLIC_API_URL ?? "http://localhost:8000").replace(/\/+$/, "");
  const response = await fetch(`${backend}/api/tasks`, { headers: { Authorization: `Bearer ${data.token}` } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}
