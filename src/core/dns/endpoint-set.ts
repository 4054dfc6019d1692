import type { ObjectKey } from "../../api/machinery/object-key.ts";
import { ipFamilyOf } from "../../net/address.ts";
import type { IpAddress, IpFamily } from "../../net/address.ts";
import type { Addresses, PortView } from "./views.ts";

/** One address of a ready endpoint, as one slice says it. */
export interface Member {
  readonly service: ObjectKey;
  /** Its label below the Service's name; in a clusterset its labels, as in `db-0.east`. */
  readonly name: string;
  readonly address: IpAddress;
  /** The same array for all members with the same ports. */
  readonly ports: readonly PortView[];
}

/** All members with one label; several may share a hostname (DNS-009). */
export interface NamedEndpoint {
  readonly name: string;
  readonly members: readonly Member[];
}

interface Label extends NamedEndpoint {
  members: readonly Member[];
  /** Where it stands among all labels. */
  at: number;
}

interface Place {
  at: number;
  /** How many members have the address: a Pod may be in two slices while they are rewritten. */
  uses: number;
}

/**
 * All ready endpoints of one Service. A member more or less costs the same whatever the set's size, and
 * nothing is left to be made at the next question: a Service of 5,000 Pods is answered from lists that
 * lose their gap to their last element.
 *
 * Invariant: `addresses` has each member's address once, `#labels` and `#byLabel` each member's label once;
 * positions are kept beside them.
 */
export class EndpointSet {
  /** Each address once. Live: it changes with the set. */
  readonly addresses: Addresses;
  readonly #lists: Readonly<Record<IpFamily, IpAddress[]>> = { IPv4: [], IPv6: [] };
  readonly #places = new Map<IpAddress, Place>();
  readonly #labels: Label[] = [];
  readonly #byLabel = new Map<string, Label>();
  /** Lists of ports by their text, and how many slices with members have them. */
  readonly #ports = new Map<string, { readonly ports: readonly PortView[]; uses: number }>();

  constructor() {
    this.addresses = this.#lists;
  }

  /** How many labels there are. */
  get size(): number {
    return this.#labels.length;
  }

  /** The endpoints with this label. */
  named(label: string): NamedEndpoint | undefined {
    return this.#byLabel.get(label);
  }

  /** The labels, in an order that only changes take part in. Live: it changes with the set. */
  get labels(): readonly NamedEndpoint[] {
    return this.#labels;
  }

  /** Each list of ports that some members have. */
  *portLists(): Iterable<readonly PortView[]> {
    for (const { ports } of this.#ports.values()) yield ports;
  }

  /** The one array that stands for these ports, held until {@link releasePorts}: one for each slice. */
  holdPorts(ports: readonly PortView[]): readonly PortView[] {
    const key = textOf(ports);
    const known = this.#ports.get(key);
    if (known === undefined) {
      this.#ports.set(key, { ports, uses: 1 });
      return ports;
    }
    known.uses += 1;
    return known.ports;
  }

  releasePorts(ports: readonly PortView[]): void {
    const key = textOf(ports);
    const known = this.#ports.get(key);
    if (known === undefined) throw new Error(`ports ${key} are released, but were not held`);
    known.uses -= 1;
    if (known.uses === 0) this.#ports.delete(key);
  }

  add(member: Member): void {
    const { address, name } = member;
    const place = this.#places.get(address);
    if (place === undefined) {
      const list = this.#lists[ipFamilyOf(address)];
      this.#places.set(address, { at: list.length, uses: 1 });
      list.push(address);
    } else {
      place.uses += 1;
    }
    const label = this.#byLabel.get(name);
    if (label === undefined) {
      const added = { name, members: [member], at: this.#labels.length };
      this.#byLabel.set(name, added);
      this.#labels.push(added);
    } else {
      label.members = [...label.members, member];
    }
  }

  /** Takes out a member that was added: the same object. */
  remove(member: Member): void {
    const { address, name } = member;
    const place = this.#places.get(address);
    const label = this.#byLabel.get(name);
    if (place === undefined || label === undefined) {
      throw new Error(`endpoint ${name} at ${address} is removed, but was not there`);
    }
    place.uses -= 1;
    if (place.uses === 0) this.#dropAddress(address, place.at);
    label.members = label.members.filter((other) => other !== member);
    if (label.members.length === 0) this.#dropLabel(label);
  }

  #dropAddress(address: IpAddress, at: number): void {
    const list = this.#lists[ipFamilyOf(address)];
    this.#places.delete(address);
    const last = list.pop();
    if (last === undefined || last === address) return;
    list[at] = last;
    const moved = this.#places.get(last);
    if (moved !== undefined) moved.at = at;
  }

  #dropLabel(label: Label): void {
    this.#byLabel.delete(label.name);
    const last = this.#labels.pop();
    if (last === undefined || last === label) return;
    this.#labels[label.at] = last;
    last.at = label.at;
  }
}

function textOf(ports: readonly PortView[]): string {
  return JSON.stringify(ports.map(({ name, protocol, port }) => [name, protocol, port]));
}
