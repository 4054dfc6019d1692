import type { StreamChoice } from "./client-streams.ts";

/** What a request to change protocols asks for. */
export type StreamRequest =
  | {
      readonly kind: "exec" | "attach";
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      /** Empty for attach. */
      readonly command: readonly string[];
      readonly choice: StreamChoice;
    }
  | {
      readonly kind: "portForward";
      readonly namespace: string;
      readonly pod: string;
      /** As sent; only for protocols whose streams do not name their port. */
      readonly ports: readonly string[];
    }
  | { readonly kind: "invalid"; readonly message: string }
  | { readonly kind: "other" };

/**
 * Reads kubelet's paths `/exec/NS/POD/CONTAINER?command=...&input=1&output=1&error=1&tty=1`, `/attach/...` and
 * `/portForward/NS/POD`.
 */
export function parseStreamRequest(url: URL): StreamRequest {
  const match = /^\/(exec|attach|portForward)\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(url.pathname);
  const [action, namespace, pod, container] = (match ?? []).slice(1).map(decoded);
  if (namespace === undefined || pod === undefined) return { kind: "other" };
  if (action === "portForward")
    return container === undefined
      ? { kind: action, namespace, pod, ports: url.searchParams.getAll("port") }
      : { kind: "other" };
  if ((action !== "exec" && action !== "attach") || container === undefined)
    return { kind: "other" };
  const { searchParams } = url;
  const has = (name: string): boolean => searchParams.get(name) === "1";
  const choice = {
    stdin: has("input"),
    stdout: has("output"),
    stderr: has("error"),
    tty: has("tty"),
  };
  if (!choice.stdin && !choice.stdout && !choice.stderr)
    return {
      kind: "invalid",
      message: "you must specify at least 1 of stdin, stdout, stderr",
    };
  const command = action === "exec" ? searchParams.getAll("command") : [];
  if (action === "exec" && (command[0] ?? "") === "")
    return { kind: "invalid", message: "you must specify at least 1 command for the container" };
  return { kind: action, namespace, pod, container, command, choice };
}

/** The name that a path segment spells; no name, when it spells none. */
function decoded(segment: string | undefined): string | undefined {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
