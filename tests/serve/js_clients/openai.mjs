// Read an answer with OpenAI's own client, and print what it made of it as JSON.
// usage: openai.mjs URL chat | chat-stream | chat-events | response | response-stream | models |
//   chat-cancel | response-cancel | conversation; cancel leaves after the first text.
import OpenAI from "openai";

const [url, action] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Oslo?" }];
const chat = { model: "agent", messages, stream: true, stream_options: { include_usage: true } };
const response = { model: "agent", input: messages };
const made = { kinds: [], text: "", thought: "", error: null };

const actions = {
  async chat() {
    made.completion = await client.chat.completions.create({ model: "agent", messages });
  },
  async "chat-events"() {
    for await (const chunk of await client.chat.completions.create(chat)) {
      made.text += chunk.choices[0]?.delta.content ?? "";
      made.thought += chunk.choices[0]?.delta.reasoning_content ?? "";
      made.usage = chunk.usage ?? made.usage;
    }
  },
  async "chat-stream"() {
    const runner = client.chat.completions.stream(chat);
    for (const name of ["chunk", "content.delta", "content.done", "tool_calls.function.arguments.delta"])
      runner.on(name, () => made.kinds.push(name));
    runner.on("content", (delta) => (made.text += delta));
    made.completion = await runner.finalChatCompletion();
    made.usage = await runner.totalUsage();
  },
  async response() {
    made.response = await client.responses.create(response);
  },
  async "response-stream"() {
    const stream = client.responses.stream(response);
    stream.on("event", (event) => made.kinds.push(event.type));
    stream.on("response.output_text.delta", (event) => (made.text += event.delta));
    made.response = await stream.finalResponse();
  },
  async models() {
    made.models = (await client.models.list()).data.map((model) => model.id);
    made.models.push((await client.models.retrieve("agent")).id);
  },
  async "chat-cancel"() {
    const stream = await client.chat.completions.create(chat);
    for await (const chunk of stream) {
      made.text += chunk.choices[0]?.delta.content ?? "";
      if (made.text) stream.controller.abort();
    }
  },
  async "response-cancel"() {
    const stream = client.responses.stream(response);
    stream.on("response.output_text.delta", (event) => {
      made.text += event.delta;
      stream.abort();
    });
    await stream.finalResponse();
  },
  async conversation() {
    const first = await client.chat.completions.create({ model: "agent", messages });
    messages.push(first.choices[0].message, { role: "user", content: "And Rome?" });
    made.completion = await client.chat.completions.create({ model: "agent", messages });
    const one = await client.responses.create(response);
    const input = [...messages.slice(0, 1), ...one.output, { role: "user", content: "And Rome?" }];
    made.response = await client.responses.create({ ...response, input });
  },
};
try {
  await actions[action]();
} catch (error) {
  made.error = { name: error.constructor.name, status: error.status ?? null, message: error.message };
}
console.log(JSON.stringify(made));
