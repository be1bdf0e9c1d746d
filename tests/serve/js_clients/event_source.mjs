// Read the events of a run with an EventSource, and print them as JSON.
// usage: event_source.mjs URL RUN_ID
import { EventSource } from "eventsource";

const [url, runId] = process.argv.slice(2);
const source = new EventSource(`${url}/runs/${runId}/events`);
const events = [];
let opened = 0;
const alive = setInterval(() => {}, 1000); // the timer of a reconnection does not keep Node alive
const finish = (last) => {
  clearInterval(alive);
  source.close();
  console.log(JSON.stringify({ events, opened, last }));
};
source.onopen = () => opened++;
source.onmessage = (message) => events.push([message.lastEventId, JSON.parse(message.data)]);
source.addEventListener("end", () => finish("end"));
source.onerror = (error) => {
  // 204: cut after the last event, so that there is nothing to come back for.
  if (source.readyState === EventSource.CLOSED) finish(error.code);
};
