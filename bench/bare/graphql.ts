import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createSchema, createYoga } from "graphql-yoga";
import { readSettings, tellReady } from "./settings.ts";
import { createTaskQuery } from "./task-query.ts";

/** Yoga with its own HTTP handler, as its first page shows it, on the gateway's schema. */
const { databaseUrl, namespace, whoAmI } = readSettings();
const readTask = createTaskQuery(databaseUrl);
const yoga = createYoga({
  schema: createSchema({
    typeDefs: readFileSync(new URL("../../schema/schema.graphql", import.meta.url), "utf8"),
    resolvers: {
      Query: {
        whoAmI: () => whoAmI,
        task: async (_parent: unknown, { taskId }: { taskId: string }) => ({
          task: await readTask(namespace, taskId),
        }),
      },
    },
  }),
});

const server = createServer(yoga);
server.listen(0, "127.0.0.1", () => tellReady((server.address() as AddressInfo).port));
