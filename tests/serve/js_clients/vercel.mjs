// Read a chat of /vercel with the transport and the reader of `ai`, and print the message as JSON.
// usage: vercel.mjs URL send | send-twice | approve | deny | send-and-resume | send-and-stop
// send-and-resume leaves after the first text, comes back and prints `back`; send-and-stop stops the
// run after the first text.
import { DefaultChatTransport, readUIMessageStream } from "ai";

const [url, action] = process.argv.slice(2);
const transport = new DefaultChatTransport({ api: `${url}/vercel` });
const chatId = "chat";
const errors = [];
let message = null;

const asked = (id, text) => ({ id, role: "user", parts: [{ type: "text", text }] });
const send = (abortSignal, ...rest) =>
  transport.sendMessages({
    chatId,
    trigger: "submit-message",
    messages: [asked("1", "Oslo?"), ...rest],
    abortSignal,
  });

const read = async (stream, onUpdate = () => {}, continued = undefined) => {
  const onError = (error) => errors.push(String(error?.message ?? error));
  for await (const update of readUIMessageStream({ stream, onError, message: continued })) {
    message = update;
    await onUpdate();
  }
};
const hasText = () => message.parts.some((part) => part.type === "text" && part.text);

if (action === "send") {
  await read(await send());
} else if (action === "approve" || action === "deny") {
  await read(await send());
  for (const part of message.parts) {
    if (part.state !== "approval-requested") continue;
    part.state = "approval-responded";
    part.approval = { ...part.approval, approved: action === "approve", reason: "so I say" };
  }
  await read(await send(undefined, message), undefined, message);
} else if (action === "send-twice") {
  await read(await send());
  await read(await send(undefined, message, asked("2", "And Rome?")));
} else if (action === "send-and-stop") {
  let stopped = false;
  await read(await send(), async () => {
    if (stopped || !hasText()) return;
    stopped = true;
    await fetch(`${url}/vercel/${chatId}/stop`, { method: "POST" });
  });
} else {
  const leaving = new AbortController();
  try {
    await read(await send(leaving.signal), () => hasText() && leaving.abort());
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
  message = null;
  errors.length = 0;
  const stream = await transport.reconnectToStream({ chatId });
  console.log("back");
  await read(stream);
}
const after = await transport.reconnectToStream({ chatId });
console.log(JSON.stringify({ message, errors, goesOn: after !== null }));
