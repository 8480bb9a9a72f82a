// The TypeScript SDK v2, which finds out by itself whether the server speaks
// 2026-07-28.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { run } from "./job.mjs";

await run(async (target, tap) => {
  const client = new Client(
    { name: "e2e-sdk-v2", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
  const transport = target.url
    ? new StreamableHTTPClientTransport(new URL(target.url), {
        fetch: tap.fetch,
        requestInit: { headers: target.headers },
      })
    : new StdioClientTransport({ ...target, stderr: "inherit" });
  await client.connect(transport);
  return { client, version: client.getNegotiatedProtocolVersion() };
});
