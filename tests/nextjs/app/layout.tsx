import type { ReactNode } from "react";

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body style={{ font: "16px/1.5 sans-serif", margin: "2rem auto", maxWidth: "45rem" }}>{children}</body>
    </html>
  );
}
