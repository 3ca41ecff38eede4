"use client";

import { type FormEvent, useState } from "react";
import { authClient } from "@/lib/auth-client";
import { Tasks } from "./tasks";

export default function Page() {
  const { data: session, isPending } = authClient.useSession();
  const [error, setError] = useState<string>();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const [name, email, password] = new FormData(event.currentTarget).values() as Iterable<string>;
    const user = { name, email, password };
    const answer = await (name ? authClient.signUp.email(user) : authClient.signIn.email(user));
    setError(answer.error?.message);
  }

  if (isPending) return <p>Loading</p>;
  if (!session) {
    return (
      <main>
        <h1>Sign up or in</h1>
        <form onSubmit={submit}>
          <input name="name" placeholder="Name, to sign up" />
          <input name="email" placeholder="E-mail" />
          <input name="password" placeholder="Password" type="password" />
          <button>Go</button>
        </form>
        {error && <p role="alert">{error}</p>}
      </main>
    );
  }
  return (
    <main>
      <h1>Tasks of {session.user.name}</h1>
      <Tasks key={session.user.id} />
      <button onClick={() => authClient.signOut()}>Sign out</button>
    </main>
  );
}
