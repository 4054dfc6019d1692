// One endpoint more or less, through the proxy's whole loop: from the event in an informer's hands to the kernel's answer.
import { createInformers } from "../src/client/shared-informers.ts";
import { startProxy } from "../src/proxy/loop.ts";
import { Metrics } from "../src/telemetry/metrics.ts";
import { percentile } from "./measure.mjs";
import { objects } from "./proxy-objects.mjs";

const CHANGES = 1000;
const NODE = { apiVersion: "v1", kind: "Node", metadata: { name: "here", resourceVersion: "1" }, spec: {} };

export async function changePart(plane, log, services, endpoints) {
  const all = objects(services, endpoints).map(({ service, slices }) => ({
    service: { apiVersion: "v1", kind: "Service", ...service },
    slices: slices.map((slice) => ({ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", ...slice })),
  }));
  const api = new Events({ services: all.map(({ service }) => service), endpointslices: all.flatMap(({ slices }) => slices), nodes: [NODE] });
  let applied = () => undefined;
  const dataPlane = {
    async apply(change) {
      const problems = await plane.apply(change);
      applied();
      return problems;
    },
    async [Symbol.asyncDispose]() {},
  };
  const informers = createInformers({ client: api, log });
  const options = { nodeName: "here", nodePortAddresses: [], internalRanges: ["10.0.0.0/9"] };
  const proxy = startProxy({ informers, client: api, events: { record() {} }, dataPlane, log, metrics: new Metrics() }, options);
  await proxy.ready(new AbortController().signal);
  const one = async (slice) => {
    const done = new Promise((resolve) => (applied = resolve));
    const began = performance.now();
    api.modified(slice);
    await done;
    return performance.now() - began;
  };
  const add = [];
  const remove = [];
  for (let i = 0; i < CHANGES; i++) {
    const last = all[(i * 7919) % services].slices.at(-1);
    const endpoint = { ...last.endpoints[0], addresses: [`10.100.${String(i >> 8)}.${String(i & 255)}`] };
    add.push(await one({ ...last, endpoints: [...last.endpoints, endpoint] }));
    remove.push(await one({ ...last }));
  }
  console.log(`change with ${services} x ${endpoints}: add ${spread(add)}, remove ${spread(remove)} of ${CHANGES} (watch event in the informer to the kernel's answer)`);
  await proxy[Symbol.asyncDispose]();
  await informers[Symbol.asyncDispose]();
}

export function spread(ms) {
  return `p50 ${percentile(ms, 50).toFixed(3)} ms, p99 ${percentile(ms, 99).toFixed(3)} ms`;
}

/** What informers list and watch; each event is handed over at once. */
class Events {
  #lists;
  #revision = 1;
  #hand = () => undefined;

  constructor(lists) {
    this.#lists = lists;
  }

  async list(kind) {
    return { items: this.#lists[kind.plural], resourceVersion: "1" };
  }

  async *watch(kind, { signal, opened }) {
    opened?.();
    // One wait an event: to race each with the end would keep every event as long as the watch.
    let wake = () => undefined;
    signal.addEventListener("abort", () => wake(undefined));
    while (!signal.aborted) {
      const event = await new Promise((resolve) => {
        wake = resolve;
        if (kind.plural === "endpointslices") this.#hand = resolve;
      });
      if (event === undefined) return;
      yield event;
    }
  }

  modified(slice) {
    this.#revision += 1;
    const metadata = { ...slice.metadata, resourceVersion: String(this.#revision) };
    this.#hand({ type: "MODIFIED", object: { ...slice, metadata } });
  }
}
