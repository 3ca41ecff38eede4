// 120 connections that are used again when Node is about to give them up: node idle.mjs BACKEND
import axios from "axios";
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const baseURL = process.argv[2];
const pauses = Array.from({ length: 120 }, (_, i) => 4970 + i / 3); // milliseconds

const results = await Promise.allSettled(
  pauses.map(async (pause) => {
    const httpAgent = new Agent({ keepAlive: true, timeout: 5000 }); // as Node's global agent is
    const api = axios.create({ baseURL, httpAgent });
    await api.get("/openapi.json");
    await sleep(pause);
    await api.get("/openapi.json");
  }),
);
console.log(results.filter((result) => result.reason).length);
