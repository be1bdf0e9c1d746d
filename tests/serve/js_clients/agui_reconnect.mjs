// Read a run of /agui with the agent that reconnects, and print what it made of it as JSON.
// usage: agui_reconnect.mjs URL run | reload | stop: reload leaves after the first text, and a new
// agent connects; stop ends the run after the first text.
import { ReconnectingAgent } from "./reconnecting_agent.mjs";

const [url, action] = process.argv.slice(2);
const config = { url: `${url}/agui`, threadId: "t 1", retryMs: 20 };
const question = { id: "1", role: "user", content: "Oslo?" };
const made = { kinds: [], error: null };
const onEvent = ({ event }) => {
  made.kinds.push(event.type);
};
let agent = new ReconnectingAgent(config);
agent.addMessage(question);
try {
  if (action === "reload") {
    const page = agent; // a page that is closed leaves the connection, and stops nothing
    await page.runAgent({ runId: "r" }, {
      onTextMessageContentEvent: () => page.abortController.abort(),
    });
    console.log("left");
    agent = new ReconnectingAgent({ ...config, initialMessages: [question] });
    await agent.connectAgent({}, { onEvent });
  } else {
    let stopped = action !== "stop";
    await agent.runAgent({ runId: "r" }, {
      onEvent,
      onTextMessageContentEvent: () => {
        if (!stopped) agent.abortRun();
        stopped = true;
      },
    });
  }
} catch (thrown) {
  made.error = `${thrown.name}: ${thrown.message}`;
}
console.log(JSON.stringify({ ...made, messages: agent.messages }));
