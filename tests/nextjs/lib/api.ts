import { authClient } from "./auth-client";

const backend = (process.env.NEXT_PUBLIC_API_URL ?? "http://localhost:8000").replace(/\/+$/, "");
const trouble = "The server has a problem. Please try again in a moment.";

/** The message is a sentence for the person at the page, the cause is for the developer. */
export class ApiError extends Error {
  constructor(message: string, readonly status?: number, cause?: unknown) {
    super(message, { cause });
  }
}

/** Ask the backend with a token. Returns the JSON of the answer, or throws an ApiError. */
export async function request<T>(token: string, path: string, init?: RequestInit): Promise<T> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(backend + path, { ...init, headers }).catch((cause) => {
    throw new ApiError(trouble, undefined, cause); // no answer, or one that CORS hides
  });
  const body = await response.json().catch(() => undefined); // what a proxy answers is no JSON
  if (response.ok && body) return body;
  if (response.status === 401) throw new ApiError("Please sign in again.", 401, body?.detail);
  throw new ApiError(response.status < 500 && body ? body.detail : trouble, response.status, body?.detail);
}

let token: Promise<string> | undefined; // one for all calls
let userId: string | undefined;

// Whoever signs in, or out, in this tab or in another, needs another token.
authClient.$store.atoms.session.subscribe(({ data }) => {
  if (data?.user.id !== userId) token = undefined;
  userId = data?.user.id;
});

async function newToken(): Promise<string> {
  const { data, error } = await authClient.token().catch((cause) => ({ data: null, error: cause }));
  if (data) return data.token;
  token = undefined; // so that the next call tries again
  throw new ApiError(error?.status === 401 ? "Please sign in." : trouble, error?.status, error);
}

/** Ask the backend as the user who is signed in: `await api<Task[]>("/api/tasks")`. */
export async function api<T>(path: string, init?: RequestInit): Promise<T> {
  const used = (token ??= newToken());
  return request<T>(await used, path, init).catch(async (error) => {
    if (error.status !== 401) throw error;
    if (token === used) token = newToken(); // it was good for 15 minutes
    return request<T>(await (token ??= newToken()), path, init);
  });
}
