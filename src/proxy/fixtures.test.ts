import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { abortable } from "../async/deadline.ts";
import type { Change, Informer, Informers } from "../client/informer.ts";

/** An informer that a test writes to. */
export class TestInformer<T extends KubernetesObject> implements Informer<T> {
  readonly kind: KindDefinition<T>;
  readonly lastError = undefined;
  hasSynced = false;
  readonly #objects = new Map<ObjectKey, T>();
  readonly #indexes = new Map<string, (object: T) => readonly string[]>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  readonly #synced: Promise<void>;
  #markSynced: () => void = () => undefined;

  constructor(kind: KindDefinition<T>) {
    this.kind = kind;
    this.#synced = new Promise((resolve) => {
      this.#markSynced = resolve;
    });
  }

  sync(): void {
    this.hasSynced = true;
    this.#markSynced();
  }

  put(object: T): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const listener of this.#listeners) listener({ key, before, after: object });
  }

  delete(key: ObjectKey): void {
    const before = this.#objects.get(key);
    this.#objects.delete(key);
    for (const listener of this.#listeners) listener({ key, before, after: undefined });
  }

  async synced(signal: AbortSignal): Promise<void> {
    await abortable(signal, this.#synced);
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, value: string): readonly T[] {
    const values = this.#indexes.get(index);
    if (values === undefined) throw new Error(`no index ${index}`);
    return this.list().filter((object) => values(object).includes(value));
  }

  addIndex(index: string, values: (object: T) => readonly string[]): void {
    this.#indexes.set(index, values);
  }

  onChange(listener: (change: Change<T>) => void): Disposable {
    this.#listeners.add(listener);
    for (const [key, after] of this.#objects) listener({ key, before: undefined, after });
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
      },
    };
  }
}

export function testInformers(...all: readonly TestInformer<never>[]): Pick<Informers, "of"> {
  return {
    of: <T extends KubernetesObject>(kind: KindDefinition<T>) => {
      const found = all.find((informer) => informer.kind.plural === kind.plural);
      if (found === undefined) throw new Error(`no informer of ${kind.plural}`);
      // The kind's name stands for its type, as it does on the wire.
      return found as unknown as Informer<T>;
    },
  };
}
