// The TypeScript SDK v2, which finds out by itself whether the server speaks
// 2026-07-28.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { capabilities, run } from "./job.mjs";

await run(async (target, tap, answers, asked) => {
  const client = new Client(
    { name: "e2e-sdk-v2", version: "1" },
    { versionNegotiation: { mode: "auto" }, capabilities: capabilities(answers) },
  );
  // A question that comes in a result is answered by the same handlers.
  for (const [method, answer] of Object.entries(answers)) {
    client.setRequestHandler(method, async ({ params }) => {
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
  await client.connect(transport);
  return { client, version: client.getNegotiatedProtocolVersion() };
});
