import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../telemetry/log.ts";
import { Disposables } from "../../async/disposables.ts";
import { startDialer } from "./dialer.ts";
import { DIALER_SOCKET } from "./parts.ts";
import type { PartConfig, PartReady } from "./parts.ts";

/**
 * Starts the part of a lab that a file of its supervisor describes, and loads only what that part needs.
 * @throws what keeps it from starting.
 */
export async function startPart(
  file: string,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<AsyncDisposable & { readonly ready: PartReady }> {
  // Written by the lab's supervisor, which types it.
  const config = JSON.parse(await readFile(file, "utf8")) as PartConfig;
  if (config.kind === "control") {
    const { startLabControl } = await import("./control-plane.ts");
    const control = await startLabControl(config, deps);
    return {
      ready: { ready: true, ...control.applied },
      [Symbol.asyncDispose]: () => control[Symbol.asyncDispose](),
    };
  }
  const opened = new Disposables();
  const { startLabNode } = await import("./node.ts");
  opened.add(await startLabNode(config, deps));
  opened.add(await startDialer(join(config.dir, DIALER_SOCKET)));
  return { ready: { ready: true }, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}
