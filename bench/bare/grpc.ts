import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { loadService } from "../load/grpc-client.ts";
import { encodeTask } from "./encode-task.ts";
import { readSettings, tellReady } from "./settings.ts";
import { createTaskQuery } from "./task-query.ts";

/** grpc-js as one writes it who wants nothing but the answer. */
const { databaseUrl, namespace, whoAmI } = readSettings();
const readTask = createTaskQuery(databaseUrl);
const server = new Server();

server.addService(loadService("SystemService"), {
  WhoAmI: (_call: unknown, answer: sendUnaryData<object>) => answer(null, whoAmI),
});
server.addService(loadService("TaskService"), {
  GetTask: (call: ServerUnaryCall<{ taskId: string }, object>, answer: sendUnaryData<object>) => {
    readTask(namespace, call.request.taskId).then(
      (task) => answer(null, { task: task && encodeTask(task) }),
      (error: Error) => answer(error),
    );
  },
});

server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  tellReady(port);
});
