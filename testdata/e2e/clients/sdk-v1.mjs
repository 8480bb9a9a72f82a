// The TypeScript SDK v1: protocol versions up to 2025-11-25, with a session.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { capabilities, run } from "./job.mjs";

const questions = { "elicitation/create": ElicitRequestSchema, "sampling/createMessage": CreateMessageRequestSchema };

await run(async (target, tap, answers, asked) => {
  const client = new Client({ name: "e2e-sdk-v1", version: "1" }, { capabilities: capabilities(answers) });
  for (const [method, answer] of Object.entries(answers)) {
    client.setRequestHandler(questions[method], ({ params }) => {
      asked.push({ method, params });
      return answer;
    });
  }
  const transport = target.url
    ? new StreamableHTTPClientTransport(new URL(target.url), {
        fetch: tap.fetch,
        requestInit: { headers: target.headers },
      })
    : new StdioClientTransport({ ...target, stderr: "inherit" });
  // The client tells its transport what was negotiated; the one over stdio has
  // no use for it.
  let negotiated;
  if (!target.url) transport.setProtocolVersion = (version) => (negotiated = version);
  await client.connect(transport);
  return { client, version: transport.protocolVersion ?? negotiated };
});
