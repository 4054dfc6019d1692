import type { KubernetesObject } from "../../src/api/machinery/metadata.ts";
import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import { keyOf } from "../../src/api/machinery/object-key.ts";
import type { ApiClient, ListOptions, WatchEvent, WatchOptions } from "../../src/client/client.ts";

interface Stored {
  readonly plural: string;
  readonly event: WatchEvent<KubernetesObject>;
}

/**
 * Objects in memory, listed and watched as from an API server, so that real informers follow them: a test
 * of DNS needs no store and no validation. Lists wait until the gate is opened.
 */
export class MemoryApi implements Pick<ApiClient, "list" | "watch"> {
  readonly #history: Stored[] = [];
  readonly #objects = new Map<string, KubernetesObject>();
  #wake: (() => void)[] = [];
  #openGate: () => void = () => undefined;
  readonly #gate = new Promise<void>((resolve) => {
    this.#openGate = resolve;
  });

  openGate(): void {
    this.#openGate();
  }

  put(kind: KindDefinition, object: KubernetesObject): void {
    const id = `${kind.plural}/${keyOf(object)}`;
    const type = this.#objects.has(id) ? "MODIFIED" : "ADDED";
    this.#objects.set(id, object);
    this.#tell(kind, type, object);
  }

  remove(kind: KindDefinition, object: KubernetesObject): void {
    this.#objects.delete(`${kind.plural}/${keyOf(object)}`);
    this.#tell(kind, "DELETED", object);
  }

  async list<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    {
      transform = (object) => object,
    }: ListOptions & { readonly transform?: ((object: T) => T) | undefined } = {},
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    await this.#gate;
    const items = [...this.#objects]
      .filter(([id]) => id.startsWith(`${kind.plural}/`))
      // What was put under a kind is of that kind.
      .map(([, object]) => transform(object as T));
    return { items, resourceVersion: String(this.#history.length) };
  }

  async *watch<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    options.opened?.();
    let next = Number(options.resourceVersion);
    while (options.signal?.aborted !== true) {
      const stored = this.#history[next];
      if (stored === undefined) {
        await new Promise<void>((resolve) => {
          const go = (): void => {
            options.signal?.removeEventListener("abort", go);
            resolve();
          };
          this.#wake.push(go);
          options.signal?.addEventListener("abort", go, { once: true });
        });
        continue;
      }
      next += 1;
      // As above: told apart by the plural.
      if (stored.plural === kind.plural) yield stored.event as WatchEvent<T>;
    }
  }

  #tell(kind: KindDefinition, type: "ADDED" | "MODIFIED" | "DELETED", object: KubernetesObject) {
    const resourceVersion = String(this.#history.length + 1);
    const versioned = { ...object, metadata: { ...object.metadata, resourceVersion } };
    this.#history.push({ plural: kind.plural, event: { type, object: versioned } });
    for (const wake of this.#wake.splice(0)) wake();
  }
}
