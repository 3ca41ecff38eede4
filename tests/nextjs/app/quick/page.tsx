"use client";

import { useEffect, useState } from "react";
import { listTasks } from "@/lib/list-tasks";

export default function Page() {
  const [tasks, setTasks] = useState<{ id: number; title: string }[]>();
  useEffect(() => void listTasks().then(setTasks), []);
  return (
    <main>
      <ul>{tasks?.map(({ id, title }) => <li key={id}>{title}</li>)}</ul>
    </main>
  );
}
