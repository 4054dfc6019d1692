import { configMapKind } from "../api/v1/configmap.kind.ts";
import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import { secretKind } from "../api/v1/secret.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient } from "../client/client.ts";
import type { PodPlace } from "./downward.ts";
import { containerEnvironment, environmentRefs } from "./environment.ts";
import { expandVariables } from "./expansion.ts";

/** What runs when a container names an image but no command, by image. */
export type Images = Readonly<Record<string, { readonly command: readonly string[] }>>;

export interface LaunchContext {
  readonly client: ApiClient;
  readonly services: readonly Service[];
  readonly place: PodPlace;
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly images: Images;
}

/** All that a process is started from. */
export type Launch =
  | {
      readonly kind: "launch";
      readonly command: readonly [string, ...string[]];
      readonly env: Readonly<Record<string, string>>;
      readonly workingDir: string;
    }
  /** Cannot be started as the Pod and its surroundings are now; `reason` as in a waiting state. */
  | { readonly kind: "refused"; readonly reason: string; readonly message: string };

/** Works out a container's command and environment, reading the ConfigMaps and Secrets that it needs. */
export async function prepareLaunch(
  pod: Pod,
  container: Container,
  context: LaunchContext,
  signal: AbortSignal,
): Promise<Launch> {
  const refs = environmentRefs(container);
  const namespace = pod.metadata.namespace ?? "";
  const [configMaps, secrets] = await Promise.all([
    readAll(context.client, configMapKind, namespace, refs.configMaps, signal),
    readAll(context.client, secretKind, namespace, refs.secrets, signal),
  ]);
  const environment = containerEnvironment({
    pod,
    container,
    place: context.place,
    services: context.services,
    base: context.baseEnv,
    configMaps,
    secrets,
  });
  if (environment.kind === "invalid")
    return { kind: "refused", reason: "CreateContainerConfigError", message: environment.message };
  const command = commandOf(container, context.images);
  if (command === undefined)
    return {
      kind: "refused",
      reason: "ErrImagePull",
      message:
        `image ${JSON.stringify(container.image ?? "")} is not mapped to a local program, and images are ` +
        "not pulled: give the container a command, or add the image to the images setting",
    };
  const env = environment.variables;
  const [program = "", ...args] = command.map((word) => expandVariables(word, (name) => env[name]));
  return {
    kind: "launch",
    command: [program, ...args],
    env,
    workingDir: container.workingDir ?? context.workingDir,
  };
}

/** `command` takes the place of the image's program, `args` are added to either; undefined for neither. */
export function commandOf(
  container: Pick<Container, "command" | "args" | "image">,
  images: Images,
): readonly string[] | undefined {
  const own = container.command ?? [];
  const program = own.length > 0 ? own : (images[container.image ?? ""]?.command ?? []);
  return program.length === 0 ? undefined : [...program, ...(container.args ?? [])];
}

async function readAll<T extends KubernetesObject>(
  client: ApiClient,
  kind: KindDefinition<T>,
  namespace: string,
  names: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, T>> {
  const found = new Map<string, T>();
  for (const name of names) {
    try {
      found.set(name, await client.get(kind, { namespace, name }, { signal }));
    } catch (error) {
      // What is missing may be optional; the environment says so if not.
      if (!hasReason(error, "NotFound")) throw error;
    }
  }
  return found;
}
