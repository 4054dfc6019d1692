import type { Backend, Frontend } from "../../core/proxy/frontend.ts";
import { chooseBackend, decide } from "../../core/proxy/route.ts";
import type { Choice } from "../../core/proxy/route.ts";
import type { ProxyNode } from "../../core/proxy/service-part.ts";
import type { IpAddress } from "../../net/address.ts";
import { AffinityTable } from "./affinity.ts";

/** Chooses backends as `core/proxy` says, and keeps what affinity must remember. */
export class Selection {
  readonly #node: Pick<ProxyNode, "internalRanges">;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #affinity = new AffinityTable();
  readonly #choice: Choice;

  constructor(deps: {
    readonly node: Pick<ProxyNode, "internalRanges">;
    readonly random: () => number;
    readonly nowMs: () => number;
  }) {
    this.#node = deps.node;
    this.#random = deps.random;
    this.#nowMs = deps.nowMs;
    this.#choice = {
      pick: (count) => Math.floor(this.#random() * count),
      remembered: (target, client) => this.#affinity.get(target, client, this.#nowMs()),
    };
  }

  /** A backend for a new connection, and the memory of it; or why there is none. */
  select(
    frontend: Frontend,
    client: IpAddress,
  ):
    | { readonly kind: "forward"; readonly backend: Backend }
    | { readonly kind: "reject"; readonly reason: "NoEndpoints" }
    | { readonly kind: "drop"; readonly reason: "NoLocalEndpoints" | "SourceNotAllowed" } {
    const decision = decide(frontend, client, this.#node);
    if (decision.kind !== "forward") return decision;
    const { backend } = chooseBackend(frontend, decision.backends, client, this.#choice);
    this.#affinity.remember(frontend.target, client, backend, this.#nowMs());
    return { kind: "forward", backend };
  }

  /** Another backend after those in `tried` did not answer; undefined when there is none left. */
  selectOther(
    frontend: Frontend,
    client: IpAddress,
    tried: readonly Backend[],
  ): Backend | undefined {
    const decision = decide(frontend, client, this.#node);
    if (decision.kind !== "forward") return undefined;
    const rest = decision.backends.filter((backend) => !includes(tried, backend));
    if (rest.length === 0) return undefined;
    // Those that did not answer are not among the rest, so affinity does not bring them back; with hashing by
    // client all clients of an endpoint that does not answer have the same second one.
    const { backend } = chooseBackend(frontend, rest, client, this.#choice);
    this.#affinity.remember(frontend.target, client, backend, this.#nowMs());
    return backend;
  }

  /** The backend may still take datagrams of a session that began earlier. */
  isEligible(frontend: Frontend, client: IpAddress, backend: Backend): boolean {
    const decision = decide(frontend, client, this.#node);
    return decision.kind === "forward" && includes(decision.backends, backend);
  }
}

function includes(backends: readonly Backend[], wanted: Backend): boolean {
  return backends.some(
    (backend) => backend.address === wanted.address && backend.port === wanted.port,
  );
}
