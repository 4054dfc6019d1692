import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import type { ConfigMap } from "../api/v1/configmap.ts";
import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Volume } from "../api/v1/volume.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import { ACCOUNT_MOUNT_PATH } from "../core/serviceaccounts/admission.ts";
import type { Logger } from "../telemetry/log.ts";
import { requestToken } from "./account-token.ts";
import type { TokenSource } from "./account-token.ts";
import { fieldValue } from "./downward.ts";

/** Tells a container where the files are that others find at {@link ACCOUNT_MOUNT_PATH}. */
export const ACCOUNT_DIR_VARIABLE = "PORTOLAN_SERVICEACCOUNT_DIR";

/** A token is replaced after this part of its life, and at the latest after a day, as by kubelet. */
const RENEWED_AFTER = 0.8;
const MAX_AGE_MS = 24 * 3_600_000;
const RETRY_MS = 10_000;

/** Fields that do not depend on where the Pod runs. */
const NOWHERE = { podIps: [], hostIps: [], allocatable: { cpu: 0, memory: 0 } };

type Projected = NonNullable<Volume["projected"]>;

export interface AccountFilesDeps {
  readonly client: Pick<ApiClient, "get" | "createSubresource">;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** A Pod's own directory, by its UID. */
  readonly podDir: (podUid: string) => string;
}

/**
 * The files by which Pods show who they are: token, authority and namespace, in a directory of each Pod that only
 * this user reads. Tokens are bound to their Pod, and replaced before they end as long as the Pod runs.
 */
export class AccountFiles implements AsyncDisposable {
  readonly #deps: AccountFilesDeps;
  /** By Pod UID and the volume's name. */
  readonly #kept = new Map<string, Map<string, KeptVolume>>();

  constructor(deps: AccountFilesDeps) {
    this.#deps = deps;
  }

  /**
   * Writes what the container has mounted as its account's files.
   * @returns their directory; undefined when it has none.
   * @throws StatusError when there is no token or ConfigMap to be had.
   */
  async open(pod: Pod, container: Container, signal: AbortSignal): Promise<string | undefined> {
    const kept = this.#volumeOf(pod, container);
    await kept?.written(signal);
    return kept?.dir;
  }

  /** Keeps the files of a container that runs already: a token that ended meanwhile is replaced soon. */
  resume(pod: Pod, container: Container): void {
    this.#volumeOf(pod, container)?.resume();
  }

  /** The Pod needs its files no more. Idempotent. */
  close(podUid: string): void {
    for (const kept of this.#kept.get(podUid)?.values() ?? []) kept.end();
    this.#kept.delete(podUid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#kept.values()].flatMap((volumes) => [...volumes.values()]);
    for (const uid of this.#kept.keys()) this.close(uid);
    await Promise.all(all.map((kept) => kept.ended()));
  }

  #volumeOf(pod: Pod, container: Container): KeptVolume | undefined {
    const mount = container.volumeMounts?.find(({ mountPath }) => mountPath === ACCOUNT_MOUNT_PATH);
    const volume = pod.spec.volumes?.find(({ name }) => name === mount?.name);
    if (volume?.projected === undefined) return undefined;
    const uid = pod.metadata.uid ?? "";
    const volumes = this.#kept.get(uid) ?? new Map<string, KeptVolume>();
    this.#kept.set(uid, volumes);
    let kept = volumes.get(volume.name);
    if (kept === undefined) {
      const dir = join(this.#deps.podDir(uid), "volumes", volume.name);
      kept = new KeptVolume(this.#deps, pod, volume.projected, dir);
      volumes.set(volume.name, kept);
    }
    return kept;
  }
}

/** A projected volume as files that are kept fresh. */
class KeptVolume {
  readonly dir: string;
  readonly #deps: AccountFilesDeps;
  readonly #pod: Pod;
  readonly #source: Projected;
  readonly #ending = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** The first writing, shared by the containers that wait for it; undefined again when it failed. */
  #writing: Promise<void> | undefined;
  #renewing: Promise<void> = Promise.resolve();

  constructor(deps: AccountFilesDeps, pod: Pod, source: Projected, dir: string) {
    this.#deps = deps;
    this.#pod = pod;
    this.#source = source;
    this.dir = dir;
  }

  async written(signal: AbortSignal): Promise<void> {
    this.#writing ??= this.#write(signal).catch((error: unknown) => {
      this.#writing = undefined;
      throw error;
    });
    await this.#writing;
  }

  resume(): void {
    this.#writing ??= Promise.resolve();
    if (this.#timer === undefined) this.#renewIn(0);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#ending.abort(new Error("the Pod's files are no longer kept"));
  }

  async ended(): Promise<void> {
    await this.#renewing;
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { name, namespace = "" } = this.#pod.metadata;
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    for (const { configMap, downwardAPI } of this.#source.sources ?? []) {
      if (configMap !== undefined) {
        const ref = { namespace, name: configMap.name ?? "" };
        const found = await this.#configMap(ref, configMap.optional === true, signal);
        const items = configMap.items ?? Object.keys(found?.data ?? {}).map(asItem);
        for (const { key, path } of items) await this.#put(path, found?.data?.[key] ?? "");
      }
      for (const { path, fieldRef } of downwardAPI?.items ?? []) {
        await this.#put(path, fieldValue(this.#pod, NOWHERE, fieldRef?.fieldPath ?? "") ?? "");
      }
    }
    await this.#writeTokens(signal);
    this.#deps.log.debug("account files written", { namespace, pod: name });
  }

  async #configMap(
    ref: { readonly namespace: string; readonly name: string },
    isOptional: boolean,
    signal: AbortSignal,
  ): Promise<ConfigMap | undefined> {
    try {
      return await this.#deps.client.get(configMapKind, ref, { signal });
    } catch (error) {
      if (isOptional && hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  async #writeTokens(signal: AbortSignal): Promise<void> {
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { serviceAccountToken: source } of this.#source.sources ?? []) {
      if (source === undefined) continue;
      const lifeMs = await this.#writeToken(source, signal);
      firstMs = Math.min(firstMs, lifeMs * RENEWED_AFTER, MAX_AGE_MS);
    }
    if (firstMs < Number.POSITIVE_INFINITY) this.#renewIn(firstMs);
  }

  /** @returns how long the token lives. */
  async #writeToken(source: TokenSource, signal: AbortSignal): Promise<number> {
    const { token, expiresMs } = await requestToken(this.#deps.client, this.#pod, source, signal);
    await this.#put(source.path, token);
    return expiresMs - this.#deps.now();
  }

  #renewIn(ms: number): void {
    if (this.#ending.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#renewing = this.#renew();
      },
      Math.max(0, ms),
    );
  }

  async #renew(): Promise<void> {
    try {
      await this.#writeTokens(this.#ending.signal);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      this.#deps.log.warn("token not renewed", { pod: this.#pod.metadata.name, error });
      this.#renewIn(RETRY_MS);
    }
  }

  /** Readers find the old content or the new, never a part. */
  async #put(path: string, content: string): Promise<void> {
    if (path.startsWith("/") || path.split("/").includes("..")) {
      throw new Error(`a projected file cannot be at ${JSON.stringify(path)}: outside its volume`);
    }
    const file = join(this.dir, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(`${file}.new`, content, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
}

function asItem(key: string): { readonly key: string; readonly path: string } {
  return { key, path: key };
}
