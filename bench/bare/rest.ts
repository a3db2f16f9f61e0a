import type { AddressInfo } from "node:net";
import express from "express";
import { readSettings, tellReady } from "./settings.ts";
import { createTaskQuery } from "./task-query.ts";

/** Express as one writes it who wants nothing but the answer. */
const { databaseUrl, namespace, whoAmI } = readSettings();
const readTask = createTaskQuery(databaseUrl);
const app = express();

app.get("/v1/whoami", (_request, response) => {
  response.json(whoAmI);
});
app.get("/v1/tasks/:taskId", async (request, response) => {
  response.json({ task: await readTask(namespace, request.params.taskId) });
});

const server = app.listen(0, "127.0.0.1", () => tellReady((server.address() as AddressInfo).port));
