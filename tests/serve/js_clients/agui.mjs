// Read one run of /agui with AG-UI's own client, and print what it made of it as JSON.
// usage: agui.mjs URL [abort | twice | PAYLOAD | cancelled]: abort leaves after the first text;
// twice asks once more; a JSON payload, or cancelled, is the answer to each interrupt.
import { buildResumeArray, HttpAgent } from "@ag-ui/client";

const [url, action] = process.argv.slice(2);
const agent = new HttpAgent({ url: `${url}/agui`, threadId: "t" });
agent.addMessage({ id: "1", role: "user", content: "Oslo?" });
const kinds = [];
let error = null;
let interrupts = [];
const run = (runId, resume) =>
  agent.runAgent(
    { runId, resume },
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
  interrupts = agent.pendingInterrupts;
  if (action === "twice") {
    agent.addMessage({ id: "2", role: "user", content: "And Rome?" });
    await run("r2");
  } else if (action && action !== "abort") {
    const answer =
      action === "cancelled"
        ? { status: "cancelled" }
        : { status: "resolved", payload: JSON.parse(action) };
    const answers = Object.fromEntries(interrupts.map(({ id }) => [id, answer]));
    await run("r2", buildResumeArray(interrupts, answers));
  }
} catch (thrown) {
  error ??= `${thrown.name}: ${thrown.message}`;
}
const pending = agent.pendingInterrupts;
console.log(JSON.stringify({ kinds, error, interrupts, pending, messages: agent.messages }));
