// Tasks of 2025-11-25 with the TypeScript SDK v1, whose API for them is
// experimental. A job is read from standard input, and its report goes to standard
// output:
//
//   {"url": …, "tool": …, "arguments": {…}, "owner": {headers}, "other": {headers}}
//   {"declared": …, "stream": [{"type": …, …}], "again": …,
//    "clarified": [{"type": …, …}], "asked": [_meta], "foreign": [{"error": …}],
//    "cancelled": …, "afterwards": …, "list": {"error": …}}
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, CreateTaskResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe } from "./job.mjs";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const job = JSON.parse(text);

async function open(headers) {
  const client = new Client({ name: "e2e-tasks-v1", version: "1" }, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    report.asked.push(params._meta);
    return { action: "accept", content: { interpretation: Object.values(params.requestedSchema.properties)[0].oneOf[0].const } };
  });
  await client.connect(new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers } }));
  await client.listTools(); // so that it knows which tools run as tasks
  return client;
}

async function outcome(promise) {
  try {
    return { result: await promise };
  } catch (error) {
    return { error: describe(error) };
  }
}

const report = { stream: [], asked: [], clarified: [] };
const owner = await open(job.owner);
const other = await open(job.other);
report.declared = owner.getServerCapabilities().tasks;

// The SDK's own way: it makes a task, polls, and fetches the result.
const call = { name: job.tool, arguments: job.arguments };
let id;
for await (const message of owner.experimental.tasks.callToolStream(call, CallToolResultSchema)) {
  if (message.type === "error") message.error = describe(message.error);
  if (message.type === "taskCreated") id = message.task.taskId;
  report.stream.push(message);
}
report.again = await outcome(owner.experimental.tasks.getTaskResult(id, CallToolResultSchema));
report.foreign = [
  await outcome(other.experimental.tasks.getTask(id)),
  await outcome(other.experimental.tasks.getTaskResult(id, CallToolResultSchema)),
  await outcome(other.experimental.tasks.cancelTask(id)),
];

// A task that asks while its result is waited for.
const unclear = { ...call, arguments: { ...call.arguments, ambiguous: true } };
for await (const message of owner.experimental.tasks.callToolStream(unclear, CallToolResultSchema)) {
  if (message.type === "error") message.error = describe(message.error);
  report.clarified.push(message);
}

// By hand: a task that is canceled while it runs.
const made = await owner.request({ method: "tools/call", params: call }, CreateTaskResultSchema, { task: { ttl: 60000 } });
report.cancelled = await outcome(owner.experimental.tasks.cancelTask(made.task.taskId));
report.afterwards = await outcome(owner.experimental.tasks.getTask(made.task.taskId));
report.list = await outcome(owner.experimental.tasks.listTasks());

await owner.close();
await other.close();
await new Promise((done) => process.stdout.write(JSON.stringify(report), done));
process.exit(0);
