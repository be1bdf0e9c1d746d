// Use Vercel's React hook in a page without a browser, and print its messages as JSON.
// usage: use_chat.mjs URL send | approve | deny | resume | stop
// resume leaves after the first text; another page with `resume: true` reads on and prints `back`.
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
Object.assign(globalThis, { window, document: window.document });
globalThis.navigator ??= window.navigator;
const { createElement, useEffect } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useChat } = await import("@ai-sdk/react");
const { DefaultChatTransport, lastAssistantMessageIsCompleteWithApprovalResponses } = await import("ai");

const [url, action] = process.argv.slice(2);
const options = {
  id: "chat",
  transport: new DefaultChatTransport({ api: `${url}/vercel` }),
  sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
};
let chat; // what the hook has returned last
let rendered = () => {};
const statuses = new Set();
function Page(props) {
  chat = useChat(props);
  statuses.add(chat.status);
  useEffect(() => void rendered());
  return chat.messages.map((message) => createElement("p", { key: message.id }, message.id));
}
const open = (props) => {
  const root = createRoot(document.body.appendChild(document.createElement("div")));
  root.render(createElement(Page, props));
  return root;
};
const until = (fits) =>
  new Promise((resolve) => {
    rendered = () => chat && fits(chat) && resolve();
    rendered();
  });
const answer = () => chat.messages.findLast((message) => message.role === "assistant");
const parts = () => answer()?.parts ?? [];
const text = () => parts().flatMap((part) => (part.type === "text" ? [part.text] : [])).join("|");
const isDone = () => chat.status === "ready" || chat.status === "error";

let root = open(options);
await until(() => chat);
const sent = chat.sendMessage({ text: "Oslo?" });
if (action === "approve" || action === "deny") {
  await sent;
  await until(() => isDone() && parts().some((part) => part.state === "approval-requested"));
  const { approval } = parts().find((part) => part.state === "approval-requested");
  const approved = action === "approve";
  chat.addToolApprovalResponse({ id: approval.id, approved, reason: "so I say" });
  await until(() => isDone() && text().includes("cold."));
} else if (action === "resume") {
  await until(() => text());
  await chat.stop(); // for the hook this is only a disconnect
  root.unmount();
  const messages = chat.messages.slice(0, 1);
  chat = undefined;
  root = open({ ...options, messages, resume: true });
  await until(() => text());
  console.log("back");
  await until(isDone);
} else if (action === "stop") {
  await until(() => text());
  await fetch(`${url}/vercel/chat/stop`, { method: "POST" });
  await chat.stop();
  await until(isDone);
} else {
  await sent;
  await until(() => isDone() && text());
}
const { messages, status, error } = chat;
console.log(JSON.stringify({ messages, status, error: error?.message ?? null, statuses: [...statuses] }));
root.unmount();
await window.happyDOM.close();
process.exit(0);
