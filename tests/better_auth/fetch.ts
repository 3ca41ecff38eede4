import { authClient } from "./auth-client.js";

const backend = process.env.NEXT_PUBLIC_API_URL ?? "http://localhost:8000";
let token: string | undefined;

async function api(path: string, init: RequestInit = {}, fresh = false): Promise<any> {
  if (!token || fresh) token = (await authClient.token()).data?.token;
  const response = await fetch(`${backend}/api${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
  });
  if (response.status === 401 && !fresh) return api(path, init, true); // tokens are good for 15 minutes
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

await api("/tasks", { method: "POST", body: JSON.stringify({ title: "Buy milk" }) });
