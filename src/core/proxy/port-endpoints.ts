import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { IpFamily } from "../../net/address.ts";
import { changeBackends } from "./backend-list.ts";
import { EndpointTally, isLocalReady, takesCluster, takesLocal } from "./choose-backends.ts";
import type { Choice, PortBackends } from "./choose-backends.ts";
import { comparePreference, sameView, viewsOf } from "./endpoint-view.ts";
import type { EndpointView } from "./endpoint-view.ts";
import { sameBackend } from "./frontend.ts";
import type { Backend } from "./frontend.ts";
import type { ProxyNode } from "./service-part.ts";
import type { ServicePortView } from "./service-view.ts";
import { comparePlaces, placeText } from "./place.ts";

/** An endpoint as one slice, by its name, has it. */
interface Claim {
  readonly slice: string;
  readonly view: EndpointView;
}

/** Who a change of claims was about before it. */
type Touched = Map<string, EndpointView | undefined>;

/**
 * The endpoints of a Service port in one family, kept up to date a slice at a time: what a change costs depends on
 * the slice, not on the Service. Always the same as `portBackends(endpointsOfPort(...))` of all slices.
 */
export class PortEndpoints implements PortBackends {
  readonly #port: Pick<ServicePortView, "name" | "protocol">;
  readonly #family: IpFamily;
  readonly #node: ProxyNode;
  /** By address and port; more than one while an endpoint moves from slice to slice (PROXY-009). */
  readonly #claims = new Map<string, readonly Claim[]>();
  /** What was read of each slice, by its name: a change leaves all others as they were. */
  readonly #views = new Map<string, readonly EndpointView[]>();
  readonly #tally: EndpointTally;
  /** Of {@link isLocalReady}: how many endpoints have the address. */
  readonly #localReady = new Map<string, number>();
  #choice: Choice;
  #cluster: readonly Backend[] = [];
  #local: readonly Backend[] = [];

  constructor(
    port: Pick<ServicePortView, "name" | "protocol">,
    family: IpFamily,
    slices: Iterable<EndpointSlice>,
    node: ProxyNode,
  ) {
    this.#port = port;
    this.#family = family;
    this.#node = node;
    this.#tally = new EndpointTally(node);
    const touched: Touched = new Map();
    for (const slice of slices) this.#replace(slice.metadata.name ?? "", slice, touched);
    this.#count(touched);
    this.#choice = this.#tally.choice;
    this.#chooseAnew();
  }

  /** Puts slices in the place of those of their names; undefined: it is gone. */
  change(slices: readonly (readonly [name: string, slice: EndpointSlice | undefined])[]): void {
    const touched: Touched = new Map();
    for (const [name, slice] of slices) this.#replace(name, slice, touched);
    this.#count(touched);
    const { choice } = this.#tally;
    const isSame = choice.cluster === this.#choice.cluster && choice.local === this.#choice.local;
    this.#choice = choice;
    if (!isSame) {
      this.#chooseAnew();
      return;
    }
    const takers = (takes: (view: EndpointView) => boolean, list: readonly Backend[]) =>
      changeBackends(list, this.#changeOf(touched, takes));
    this.#cluster = takers((view) => takesCluster(view, choice, this.#node), this.#cluster);
    this.#local = takers((view) => takesLocal(view, choice), this.#local);
  }

  cluster(): readonly Backend[] {
    return this.#cluster;
  }

  local(): readonly Backend[] {
    return this.#local;
  }

  get hasUsable(): boolean {
    return this.#tally.hasUsable;
  }

  localReady(): Iterable<string> {
    return this.#localReady.keys();
  }

  #replace(name: string, slice: EndpointSlice | undefined, touched: Touched): void {
    const old = this.#views.get(name) ?? [];
    const now = this.#viewsOf(slice);
    if (now.length === 0) this.#views.delete(name);
    else this.#views.set(name, now);
    let i = 0;
    let j = 0;
    for (;;) {
      const one = old[i];
      const two = now[j];
      if (one === undefined && two === undefined) return;
      const order = one === undefined ? 1 : two === undefined ? -1 : comparePlaces(one, two);
      if (one !== undefined && two !== undefined && order === 0 && sameView(one, two)) {
        i++;
        j++;
        continue;
      }
      // One of several in one slice with the same address and port: all of them are taken out and put in one by one.
      if (order <= 0 && one !== undefined) {
        this.#unclaim(name, one, touched);
        i++;
      } else if (two !== undefined) {
        this.#claim(name, two, touched);
        j++;
      }
    }
  }

  #viewsOf(slice: EndpointSlice | undefined): readonly EndpointView[] {
    if (slice?.addressType !== this.#family) return [];
    return viewsOf(slice, this.#port, this.#family, this.#node.name);
  }

  #unclaim(slice: string, view: EndpointView, touched: Touched): void {
    const key = placeText(view);
    const claims = this.#touch(key, touched);
    const index = claims.findIndex((claim) => claim.slice === slice && sameView(claim.view, view));
    const rest = claims.filter((_, i) => i !== index);
    if (rest.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, rest);
  }

  #claim(slice: string, view: EndpointView, touched: Touched): void {
    const key = placeText(view);
    this.#claims.set(key, [...this.#touch(key, touched), { slice, view }]);
  }

  #touch(key: string, touched: Touched): readonly Claim[] {
    const claims = this.#claims.get(key) ?? [];
    if (!touched.has(key)) touched.set(key, winnerOf(claims));
    return claims;
  }

  #count(touched: Touched): void {
    for (const [key, before] of touched) {
      const after = winnerOf(this.#claims.get(key) ?? []);
      if (before === after) touched.delete(key);
      for (const [view, by] of [
        [before, -1],
        [after, 1],
      ] as const) {
        if (view === undefined || before === after) continue;
        this.#tally.count(view, by);
        if (!isLocalReady(view)) continue;
        const count = (this.#localReady.get(view.address) ?? 0) + by;
        if (count === 0) this.#localReady.delete(view.address);
        else this.#localReady.set(view.address, count);
      }
    }
  }

  #chooseAnew(): void {
    const winners = [...this.#claims.values()].flatMap((claims) => winnerOf(claims) ?? []);
    const list = (takes: (view: EndpointView) => boolean): readonly Backend[] =>
      winners
        .filter(takes)
        .map((view) => view.backend)
        .sort(comparePlaces);
    this.#cluster = list((view) => takesCluster(view, this.#choice, this.#node));
    this.#local = list((view) => takesLocal(view, this.#choice));
  }

  #changeOf(
    touched: Touched,
    takes: (view: EndpointView) => boolean,
  ): { removed: readonly Backend[]; added: readonly Backend[]; replaced: readonly Backend[] } {
    const removed: Backend[] = [];
    const added: Backend[] = [];
    const replaced: Backend[] = [];
    for (const [key, view] of touched) {
      const winner = winnerOf(this.#claims.get(key) ?? []);
      const before = view !== undefined && takes(view) ? view.backend : undefined;
      const after = winner !== undefined && takes(winner) ? winner.backend : undefined;
      if (before === undefined && after !== undefined) added.push(after);
      else if (before !== undefined && after === undefined) removed.push(before);
      else if (before !== undefined && after !== undefined && !sameBackend(before, after)) {
        replaced.push(after);
      }
    }
    return { removed, added, replaced };
  }
}

/** PROXY-009. */
function winnerOf(claims: readonly Claim[]): EndpointView | undefined {
  const [first] = claims;
  if (claims.length < 2) return first?.view;
  return claims.map((claim) => claim.view).sort(comparePreference)[0];
}
