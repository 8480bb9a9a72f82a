// A job is read from standard input, and its report goes to standard output:
//
//   {"sessions": [{"target": {"url": …, "headers": {…}} | {"command": …, "args": […], "env": {…}, "cwd": …},
//                  "calls": [{"name": …, "arguments": {…}}], "answers": {"sampling/createMessage": {…}, …}}]}
//   {"sessions": [{"connectError": …} | {"version": …, "tools": […], "calls": [{"result": …} | {"error": …, "wire": …}],
//                  "asked": [{"method": …, "params": …}]}]}
//
// A call is made whether or not its tool is listed. `wire` is the HTTP answer
// as it came, status and body, before the SDK read it. A client can be asked what
// it has an answer to; `asked` is what it was asked.

// WireTap wraps fetch and keeps the answer to the latest tools/call.
export class WireTap {
  #latest = Promise.resolve(null);

  fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (typeof init?.body === "string" && init.body.includes('"tools/call"')) {
      const copy = response.clone();
      // Closing the client aborts what the tap still reads: that is no failure.
      this.#latest = copy.text().then(
        (body) => ({ status: response.status, body }),
        () => null,
      );
    }
    return response;
  };

  async take() {
    const wire = await this.#latest;
    this.#latest = Promise.resolve(null);
    return wire;
  }
}

export function describe(error) {
  return { code: error.code, message: error.message, data: error.data };
}

// capabilities are those of a client with these answers.
export function capabilities(answers) {
  return {
    ...(answers["elicitation/create"] && { elicitation: { form: {} } }),
    ...(answers["sampling/createMessage"] && { sampling: {} }),
  };
}

// run does each session of the job with `connect(target, tap, answers, asked)`,
// which answers {client, version}.
export async function run(connect) {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const job = JSON.parse(text);
  const sessions = [];
  for (const session of job.sessions) sessions.push(await runSession(session, connect));
  await new Promise((done) => process.stdout.write(JSON.stringify({ sessions }), done));
  process.exit(0);
}

async function runSession({ target, calls, answers }, connect) {
  const asked = [];
  const tap = new WireTap();
  let connected;
  try {
    connected = await connect(target, tap, answers ?? {}, asked);
  } catch (error) {
    return { connectError: describe(error) };
  }
  const { client, version } = connected;
  const report = { version, tools: [], calls: [], asked };
  let cursor;
  do {
    const page = await client.listTools(cursor ? { cursor } : {});
    report.tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor);
  for (const call of calls ?? []) {
    try {
      report.calls.push({ result: await client.callTool(call) });
    } catch (error) {
      report.calls.push({ error: describe(error), wire: await tap.take() });
    }
  }
  await client.close();
  return report;
}
