import type { ObjectKey } from "../api/machinery/object-key.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { SettledSlices } from "../core/endpoints/changed-pods.ts";

interface Known {
  /** Absent while a plan is being carried out. */
  settled: SettledSlices | undefined;
  /** Pods that changed since the plan was made. */
  readonly changed: Set<ObjectKey>;
}

/**
 * What the last look at large Services left behind, and which Pods have changed since, so that the next look
 * need not go through all of them.
 */
export class SettledServices {
  readonly #known = new Map<ObjectKey, Known>();

  /** A look at the Service begins: what was known is given out once, and Pods that change from now on are noted. */
  take(service: ObjectKey): Known | undefined {
    const known = this.#known.get(service);
    if (known !== undefined) this.track(service);
    return known;
  }

  /** Pods of the Service that change from now on are noted. */
  track(service: ObjectKey): void {
    this.#known.set(service, { settled: undefined, changed: new Set() });
  }

  /** The look has ended; undefined: nothing is known of how the slices are now. */
  settle(service: ObjectKey, settled: SettledSlices | undefined): void {
    const known = this.#known.get(service);
    if (known === undefined) return;
    if (settled === undefined) this.#known.delete(service);
    else known.settled = settled;
  }

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  noteChange(services: Iterable<ObjectKey>, pod: ObjectKey): void {
    for (const service of services) this.#known.get(service)?.changed.add(pod);
  }

  forget(service: ObjectKey): void {
    this.#known.delete(service);
  }

  /** What endpoints depend on besides Pods has changed. */
  forgetAll(): void {
    this.#known.clear();
  }
}

/** These slices, as others may have written them meanwhile, are the settled ones. */
export function areSettled(settled: SettledSlices, slices: readonly EndpointSlice[]): boolean {
  return (
    slices.length === settled.slices.size &&
    slices.every(({ metadata }) => {
      const known = settled.slices.get(metadata.name)?.metadata;
      return known?.uid === metadata.uid && known?.resourceVersion === metadata.resourceVersion;
    })
  );
}
