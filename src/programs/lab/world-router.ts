import { Agent, get } from "node:http";
import { serviceKind } from "../../api/v1/service.kind.ts";
import type { Service } from "../../api/v1/service.ts";
import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { sleep } from "../../async/sleep.ts";
import type { Informers } from "../../client/informer.ts";
import { inNetworkOf, runNft } from "../../kernel/network-commands.ts";
import { ipFamilyOf, parseIpAddress } from "../../net/address.ts";
import type { IpAddress } from "../../net/address.ts";
import type { Logger } from "../../telemetry/log.ts";
import { renderBalancer } from "./world-rules.ts";
import type { Balanced } from "./world-rules.ts";

/** Clouds take seconds; a lab shows the same sooner. */
const EVERY_MS = 200;
const ANSWER_MS = 1_000;

export interface WorldRouterDeps {
  readonly informers: Pick<Informers, "of">;
  readonly log: Logger;
}

export interface WorldRouterOptions {
  /** A process in the world's network namespace. */
  readonly worldPid: number;
  /** The addresses of each node; it is asked for its health at the first. */
  readonly nodes: readonly (readonly IpAddress[])[];
}

/** What the balancer needs of a Service with policy Local. */
interface Target {
  readonly addresses: readonly IpAddress[];
  readonly port: number;
}

/**
 * Does in a lab what a cloud's load balancer does for Services with `externalTrafficPolicy: Local`: asks every node at
 * the Service's `healthCheckNodePort`, and gives new connections of its address to those that answer 200; established
 * ones stay where they are. When none does it leaves things as they were, as those that terminate may still serve.
 */
export class WorldRouter implements AsyncDisposable {
  readonly #deps: WorldRouterDeps;
  readonly #options: WorldRouterOptions;
  readonly #targets = new Map<ObjectKey, Target>();
  readonly #healthy = new Map<ObjectKey, readonly (readonly IpAddress[])[]>();
  readonly #agent = new Agent({ keepAlive: true });
  readonly #ended = new AbortController();
  readonly #subscription: Disposable;
  readonly #loop: Promise<void>;
  #rules = "";
  #wake: () => void = () => undefined;

  constructor(deps: WorldRouterDeps, options: WorldRouterOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#subscription = deps.informers.of(serviceKind).onChange(({ key, after }) => {
      const target = after === undefined ? undefined : targetOf(after);
      if (target === undefined) {
        if (!this.#targets.delete(key)) return;
        this.#healthy.delete(key);
      } else this.#targets.set(key, target);
      this.#wake();
    });
    this.#loop = this.#run(this.#ended.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error("the lab ends"));
    this.#subscription[Symbol.dispose]();
    this.#wake();
    await this.#loop;
    this.#agent.destroy();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#targets.size === 0 && this.#rules === "") {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      await Promise.all([...this.#targets].map(([key, target]) => this.#probe(key, target)));
      await this.#apply();
      // Rejects only when the lab ends, which the loop sees.
      await sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  async #probe(key: ObjectKey, { port }: Target): Promise<void> {
    const { nodes } = this.#options;
    const answers = await Promise.all(nodes.map(([node]) => this.#isHealthy(node, port)));
    const healthy = nodes.filter((_, i) => answers[i] === true);
    if (healthy.length > 0 && this.#targets.has(key)) this.#healthy.set(key, healthy);
  }

  #isHealthy(node: IpAddress | undefined, port: number): Promise<boolean> {
    if (node === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      const request = get(
        { host: node, port, path: "/healthz", agent: this.#agent, timeout: ANSWER_MS },
        (response) => {
          response.resume();
          response.once("close", () => {
            resolve(response.statusCode === 200);
          });
        },
      );
      request.once("timeout", () => request.destroy());
      // Refused: the node's proxy has not opened the port yet.
      request.once("error", () => {
        resolve(false);
      });
    });
  }

  async #apply(): Promise<void> {
    const balanced: Balanced[] = [];
    for (const [key, { addresses }] of this.#targets) {
      const nodes = this.#healthy.get(key);
      if (nodes === undefined) continue;
      for (const address of addresses) {
        const family = ipFamilyOf(address);
        const own = nodes.flatMap((node) => node.find((one) => ipFamilyOf(one) === family) ?? []);
        if (own.length > 0) balanced.push({ address, nodes: own });
      }
    }
    balanced.sort((a, b) => (a.address < b.address ? -1 : 1));
    const rules = balanced.length === 0 ? "" : renderBalancer(balanced);
    if (rules === this.#rules) return;
    // What is wrong with these rules will be wrong again: nothing is tried until there are others.
    this.#rules = rules;
    try {
      await runNft(inNetworkOf(this.#options.worldPid), renderBalancer(balanced));
      this.#deps.log.info("the world's router follows health checks", { balanced });
    } catch (error) {
      this.#deps.log.warn("the world's router cannot follow health checks", { error });
    }
  }
}

function targetOf({ spec, status }: Service): Target | undefined {
  if (spec.type !== "LoadBalancer" || spec.externalTrafficPolicy !== "Local") return undefined;
  const port = spec.healthCheckNodePort ?? 0;
  const addresses = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip = "", ipMode }) => {
    return ipMode === "Proxy" ? [] : (parseIpAddress(ip) ?? []);
  });
  return port === 0 || addresses.length === 0 ? undefined : { addresses, port };
}
