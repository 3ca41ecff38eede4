import type { NextConfig } from "next";

const backend = (process.env.BACKEND_URL ?? "http://localhost:8000").replace(/\/+$/, "");

const config: NextConfig = {
  rewrites: async () => [
    { source: "/api/tasks/:path*", destination: `${backend}/api/tasks/:path*` },
    { source: "/api/:user/tasks/:path*", destination: `${backend}/api/tasks/:path*` },
  ],
};

export default config;
