import { authClient } from "./auth-client";

export async function listTasks() {
  const { data } = await authClient.token();
  const backend = process.env.NEXT_PUBLIC_API_URL ?? "http://localhost:8000";
  const response = await fetch(`${backend}/api/tasks`, { headers: { Authorization: `Bearer ${data?.token}` } });
  return response.json();
}
