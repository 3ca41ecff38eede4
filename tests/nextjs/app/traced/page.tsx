"use client";

import Page from "../page";

// As Sentry and OpenTelemetry do in a browser: every call carries the trace that it belongs to.
if (typeof window !== "undefined") {
  const { fetch } = window;
  const [trace, span] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
  const fields = { traceparent: `00-${trace}-${span}-01`, "sentry-trace": `${trace}-${span}-1`, baggage: "a=b" };
  window.fetch = (input, init) => fetch(input, { ...init, headers: { ...fields, ...(init?.headers as object) } });
}

export default Page;
