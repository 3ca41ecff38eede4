import { headers } from "next/headers";
import { ApiError, request } from "./api";
import { auth } from "./auth";

/** Ask the backend from a server component or a server action, as the user whose page it is. */
export async function serverApi<T>(path: string, init?: RequestInit): Promise<T> {
  const session = await auth.api.getToken({ headers: await headers() }).catch((cause) => {
    throw new ApiError("Please sign in.", 401, cause);
  });
  return request<T>(session.token, path, init);
}
