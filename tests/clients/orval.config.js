export default {
  tasks: {
    input: "../../openapi.json",
    output: {
      target: "build/orval/tasks.ts",
      client: "fetch",
      override: { mutator: { path: "orval-fetch.ts", name: "orvalFetch", extension: ".js" } },
    },
  },
};
