// Read one run of /agui with AG-UI's own client, and print what it made of it as JSON.
// usage: agui.mjs URL [abort | twice]: abort leaves after the first text; twice asks once more.
import { HttpAgent } from "@ag-ui/client";

const [url, action] = process.argv.slice(2);
const agent = new HttpAgent({ url: `${url}/agui`, threadId: "t" });
agent.addMessage({ id: "1", role: "user", content: "Oslo?" });
const kinds = [];
let error = null;
let interrupts = [];
const run = (runId) =>
  agent.runAgent(
    { runId },
    {
      onEvent({ event }) {
        kinds.push(event.type);
        if (action === "abort" && event.type === "TEXT_MESSAGE_CONTENT") agent.abortRun();
      },
      onRunErrorEvent({ event }) {
        error = event.message;
      },
    },
  );
try {
  await run("r");
  if (action === "twice") {
    agent.addMessage({ id: "2", role: "user", content: "And Rome?" });
    await run("r2");
  }
  interrupts = agent.pendingInterrupts;
} catch (thrown) {
  error ??= `${thrown.name}: ${thrown.message}`;
}
console.log(JSON.stringify({ kinds, error, interrupts, messages: agent.messages }));
