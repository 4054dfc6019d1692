import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { configMapKind } from "../api/v1/configmap.kind.ts";
import { secretKind } from "../api/v1/secret.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import type { ApiClient } from "../client/client.ts";
import { ACCOUNT_VOLUME_PREFIX } from "../core/serviceaccounts/admission.ts";
import type { Logger } from "../telemetry/log.ts";
import { requestToken } from "./account-token.ts";
import { writeAtomically } from "./atomic-files.ts";
import type { PodPlace } from "./downward.ts";
import type { RecentObjects } from "./recent-objects.ts";
import { volumeFiles, volumeRefs } from "./volume-files.ts";
import type { TokenSource, VolumeFile, WrittenVolume } from "./volume-files.ts";

/** A token is replaced after this part of its life, and at the latest after a day, as by kubelet. */
const RENEWED_AFTER = 0.8;
const MAX_AGE_MS = 24 * 3_600_000;
const RETRY_MS = 10_000;
/** How often to look whether the objects behind the files changed; kubelet takes up to a minute. */
const LOOK_MS = 5_000;

export interface KeptVolumeDeps {
  readonly client: Pick<ApiClient, "createSubresource">;
  readonly objects: RecentObjects;
  readonly log: Logger;
  readonly now: () => number;
  readonly current: (pod: Pod) => Pod;
}

interface Kept {
  readonly pod: Pod;
  readonly place: PodPlace;
  readonly volume: WrittenVolume;
  readonly dir: string;
  /** Resolves when `dir` may be written to. */
  readonly ready: () => Promise<void>;
}

/** A volume as files that are kept fresh. */
export class KeptVolume {
  readonly #deps: KeptVolumeDeps;
  readonly #kept: Kept;
  readonly #ending = new AbortController();
  readonly #follows: boolean;
  /** When each token is to be replaced, by the path of its file. The file has it: many Pods have many tokens. */
  readonly #renewAtMs = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  /** The first writing, shared by the containers that wait for it; undefined again when it failed. */
  #writing: Promise<void> | undefined;
  #renewing: Promise<void> = Promise.resolve();
  /** Of what was last written. */
  #digest = "";

  constructor(deps: KeptVolumeDeps, kept: Kept) {
    this.#deps = deps;
    this.#kept = kept;
    const { name, sources } = kept.volume;
    // That of the cluster's authority does not change; with thousands of Pods looking for it would be all they do.
    const isAccount = name.startsWith(ACCOUNT_VOLUME_PREFIX);
    const follows = sources.some((each) => each.configMap ?? each.secret ?? each.downwardAPI);
    this.#follows = follows && !isAccount;
  }

  /** @throws Error with what is missing, StatusError when the API refuses. */
  async written(signal: AbortSignal): Promise<void> {
    this.#writing ??= this.#write(signal, false).catch((error: unknown) => {
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

  async #write(signal: AbortSignal, mayBeRecent: boolean): Promise<void> {
    const { volume, place, dir } = this.#kept;
    const pod = this.#deps.current(this.#kept.pod);
    const namespace = pod.metadata.namespace ?? "";
    const refs = volumeRefs(volume);
    const readAll = async <T extends KubernetesObject>(
      kind: KindDefinition<T>,
      names: ReadonlySet<string>,
    ): Promise<ReadonlyMap<string, T>> => {
      const found = new Map<string, T>();
      for (const name of names) {
        const ref = { namespace, name };
        const { objects } = this.#deps;
        const object = await (mayBeRecent
          ? objects.readRecent(kind, ref)
          : objects.read(kind, ref, signal));
        if (object !== undefined) found.set(name, object);
      }
      return found;
    };
    const configMaps = await readAll(configMapKind, refs.configMaps);
    const secrets = await readAll(secretKind, refs.secrets);
    const tokens = new Map<string, string>();
    for (const { serviceAccountToken: source } of volume.sources) {
      if (source !== undefined) tokens.set(source.path, await this.#token(source, signal));
    }
    const made = volumeFiles(volume, { pod, place, configMaps, secrets, tokens });
    if (made.kind === "missing") throw new Error(made.message);
    const digest = digestOf(made.files);
    if (digest !== this.#digest) {
      await this.#kept.ready();
      await writeAtomically(dir, made.files);
      this.#digest = digest;
      const { name } = pod.metadata;
      this.#deps.log.debug("volume written", { namespace, pod: name, volume: volume.name });
    }
    this.#renewIn(this.#nextMs());
  }

  async #token(source: TokenSource, signal: AbortSignal): Promise<string> {
    const { now, client } = this.#deps;
    if ((this.#renewAtMs.get(source.path) ?? 0) > now()) {
      // It may have been taken away; then there is another.
      const known = await readFile(join(this.#kept.dir, source.path), "utf8").catch(() => "");
      if (known !== "") return known;
    }
    const { token, expiresMs } = await requestToken(client, this.#kept.pod, source, signal);
    const lifeMs = Math.max(0, expiresMs - now());
    this.#renewAtMs.set(source.path, now() + Math.min(lifeMs * RENEWED_AFTER, MAX_AGE_MS));
    return token;
  }

  /** Until something is to be looked at again; undefined: never. */
  #nextMs(): number | undefined {
    const renewals = [...this.#renewAtMs.values()].map((atMs) => atMs - this.#deps.now());
    const all = this.#follows ? [...renewals, LOOK_MS] : renewals;
    return all.length === 0 ? undefined : Math.min(...all);
  }

  #renewIn(ms: number | undefined): void {
    if (this.#ending.signal.aborted) return;
    clearTimeout(this.#timer);
    if (ms === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#renewing = this.#renew();
      },
      Math.max(0, ms),
    );
    this.#timer.unref();
  }

  async #renew(): Promise<void> {
    try {
      await this.#write(this.#ending.signal, true);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      const { name } = this.#kept.pod.metadata;
      // What was written stays: programs go on with what they have.
      const fields = { pod: name, volume: this.#kept.volume.name, error };
      this.#deps.log.warn("volume not brought up to date", fields);
      this.#renewIn(RETRY_MS);
    }
  }
}

function digestOf(files: ReadonlyMap<string, VolumeFile>): string {
  const hash = createHash("sha256");
  for (const [path, { content, mode }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([path, mode, content.length])).update(content);
  }
  return hash.digest("base64");
}
