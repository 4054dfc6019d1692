import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";

/** Shorter than the time between two looks at a volume. */
const RECENT_MS = 3_000;

/** Reads objects for many volumes: what many Pods share is asked for once every few seconds. */
export class RecentObjects {
  readonly #client: Pick<ApiClient, "get">;
  readonly #recent = new Map<string, Promise<KubernetesObject | undefined>>();

  constructor(client: Pick<ApiClient, "get">) {
    this.#client = client;
  }

  /** The object as it is now; undefined when there is none. @throws StatusError for anything else. */
  async read<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    ref: { readonly namespace: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.#client.get(kind, ref, { signal });
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** The object as it was a few seconds ago at most. */
  async readRecent<T extends KubernetesObject>(
    kind: KindDefinition<T>,
    ref: { readonly namespace: string; readonly name: string },
  ): Promise<T | undefined> {
    const key = `${kind.kind} ${ref.namespace}/${ref.name}`;
    let reading = this.#recent.get(key);
    if (reading === undefined) {
      // Shared by volumes of different Pods, so that none of their ends may end it.
      reading = this.read(kind, ref, new AbortController().signal);
      this.#recent.set(key, reading);
      const forget = (): void => {
        if (this.#recent.get(key) === reading) this.#recent.delete(key);
      };
      setTimeout(forget, RECENT_MS).unref();
      reading.catch(forget);
    }
    // Of this kind by its key.
    return (await reading) as T | undefined;
  }
}
