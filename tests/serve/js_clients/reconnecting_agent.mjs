import { enforceOutgoingInput, HttpAgent } from "@ag-ui/client";
import { from } from "rxjs";

// An HttpAgent that survives a lost connection and a reloaded page.
export class ReconnectingAgent extends HttpAgent {
  constructor({ url, retryMs = 1000, ...config }) {
    super({ ...config, url: `${url}?keep=true` });
    Object.assign(this, { base: url, retryMs });
  }

  run(input) {
    const request = this.requestInit(enforceOutgoingInput(input));
    return from(this.#events(input.threadId, () => this.fetch(this.url, request)));
  }

  connect({ threadId }) { // connectAgent(): the thread's newest run, after a reload
    return from(this.#events(threadId, () => this.#follow(threadId, 0)));
  }

  abortRun() { // a run that is kept does not end with its connection
    const { headers } = this;
    this.fetch(this.#path(this.threadId, "stop"), { method: "POST", headers }).catch(() => {});
    super.abortRun();
  }

  async *#events(threadId, open) {
    const { signal } = this.abortController;
    for (let count = 0; ; open = () => this.#follow(threadId, count)) {
      try {
        const response = await open();
        if (response.status === 204) return; // the thread has no run
        if (!response.ok) throw Object.assign(new Error(await response.text()), { isFinal: true });
        for await (const event of eventsOf(response.body)) {
          count += 1;
          yield event;
          if (event.type === "RUN_FINISHED" || event.type === "RUN_ERROR") return;
        }
      } catch (error) {
        if (error.isFinal || signal.aborted || !count) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, this.retryMs));
    }
  }

  #follow(threadId, count) {
    const headers = { ...this.headers, "Last-Event-ID": String(count) };
    return this.fetch(this.#path(threadId, "stream"), {
      headers,
      signal: this.abortController.signal,
    });
  }

  #path(threadId, name) {
    return `${this.base}/${encodeURIComponent(threadId)}/${name}`;
  }
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const line of frames.join("\n").split("\n")) {
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
}
