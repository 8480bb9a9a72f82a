// The TypeScript SDK v1 with one session that calls until standard input ends. The
// first line of the input is the job, and the report goes to standard output:
//
//   {"url": …, "headers": {…}, "name": …, "arguments": {…}}
//   {"calls": …, "failed": [{"code": …, "message": …}], "errors": [{…}], "sessions": […]}
//
// `errors` is what its transport met besides its calls, like a stream that could
// not be opened again; `sessions` are the ids that it had.
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { describe } from "./job.mjs";

let over = false;
const input = createInterface({ input: process.stdin });
const job = JSON.parse(await new Promise((line) => input.once("line", line)));
input.once("close", () => (over = true));

const report = { calls: 0, failed: [], errors: [], sessions: [] };
const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers: job.headers } });
const client = new Client({ name: "e2e-steady-v1", version: "1" }, { capabilities: {} });
client.onerror = (error) => report.errors.push(describe(error));
await client.connect(transport);
while (!over) {
  try {
    const result = await client.callTool({ name: job.name, arguments: job.arguments });
    if (result.isError) report.failed.push({ message: JSON.stringify(result) });
  } catch (error) {
    report.failed.push(describe(error));
  }
  report.calls++;
  if (!report.sessions.includes(transport.sessionId)) report.sessions.push(transport.sessionId);
  await new Promise((soon) => setImmediate(soon)); // the input is read
}
await new Promise((done) => process.stdout.write(JSON.stringify(report), done));
process.exit(0);
