// How orval's client sends a request: to the backend, with the token (orval, "Custom fetch").
const [backend, token] = process.argv.slice(2);

export async function orvalFetch<T>(path: string, init: RequestInit): Promise<T> {
  const headers = { ...init.headers, Authorization: `Bearer ${token}` };
  const response = await fetch(backend + path, { ...init, headers });
  return { data: await response.json(), status: response.status, headers: response.headers } as T;
}
