import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../telemetry/log.ts";
import { Disposables } from "../../async/disposables.ts";
import { startLabControl } from "./control-plane.ts";
import { startDialer } from "./dialer.ts";
import { startLabNode } from "./node.ts";
import type { PartConfig, PartReady } from "./parts.ts";

/** The socket of a node's folder by which the host opens connections from that node. */
export const DIALER_SOCKET = "dial.sock";

/** Starts the part of a lab that a file of its machine describes. @throws what keeps it from starting. */
export async function startPart(
  file: string,
  deps: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<AsyncDisposable & { readonly ready: PartReady }> {
  // Written by the lab's machine, which types it.
  const config = JSON.parse(await readFile(file, "utf8")) as PartConfig;
  if (config.kind === "control") {
    const control = await startLabControl(config, deps);
    return {
      ready: { ready: true, ...control.applied },
      [Symbol.asyncDispose]: () => control[Symbol.asyncDispose](),
    };
  }
  const opened = new Disposables();
  opened.add(await startLabNode(config, deps));
  opened.add(await startDialer(join(config.dir, DIALER_SOCKET)));
  return { ready: { ready: true }, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
}
