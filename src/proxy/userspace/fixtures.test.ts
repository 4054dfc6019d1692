import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { backendSet, frontend, ip, port } from "../../core/proxy/fixtures.test.ts";
import type { TableChange } from "../../core/proxy/diff.ts";
import { NO_CHANGE } from "../../core/proxy/diff.ts";
import type { Backend, BackendSet, Frontend } from "../../core/proxy/frontend.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { UserspaceDataPlane } from "./data-plane.ts";
import type { UserspaceDeps, UserspaceOptions } from "./data-plane.ts";

/** Something opened for a test, closed in reverse order at its end. */
export class Scope implements AsyncDisposable {
  readonly #closers: (() => unknown)[] = [];

  defer(close: () => unknown): void {
    this.#closers.push(close);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.toReversed()) await close();
  }

  /** A TCP server on a free port of `address`. */
  async server(address: string, onConnection: (socket: Socket) => void): Promise<Backend> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.defer(() => socket.destroy());
      socket.on("error", () => undefined);
      onConnection(socket);
    });
    return this.listen(server, address);
  }

  async listen(server: Server, address: string): Promise<Backend> {
    server.listen({ host: address, port: 0 });
    await once(server, "listening");
    this.defer(() => server.close());
    return { address: ip(address), port: port(portOf(server)), isLocal: true };
  }

  /** A server that answers each connection with its own address and port, and ends. */
  named(address: string): Promise<Backend> {
    return this.server(address, (socket) => {
      socket.end(`${socket.localAddress ?? ""}:${String(socket.localPort)}`);
    });
  }

  /** A server that sends back what it gets. */
  echo(address: string): Promise<Backend> {
    return this.server(address, (socket) => {
      socket.on("data", (chunk) => {
        if (!socket.write(chunk)) socket.pause();
      });
      socket.on("drain", () => socket.resume());
      socket.on("end", () => socket.end());
    });
  }

  /** An address and port on which nobody listens. */
  async deaf(address: string): Promise<Backend> {
    const server = createServer();
    server.listen({ host: address, port: 0 });
    await once(server, "listening");
    const backend = { address: ip(address), port: port(portOf(server)), isLocal: true };
    server.close();
    await once(server, "close");
    return backend;
  }

  plane(options: UserspaceOptions = {}, deps: Partial<UserspaceDeps> = {}): TestPlane {
    const lines: string[] = [];
    const log = createLogger({
      write: (line) => lines.push(line),
      level: "debug",
      format: "text",
      now: () => new Date(0),
    });
    const metrics = new Metrics();
    let turn = 0;
    // Takes backends in turn: with two, 0 and 0.5 pick the first and the second.
    const random = (): number => (turn++ % 2) / 2;
    const plane = new UserspaceDataPlane(
      { log, metrics, random, node: { internalRanges: [] }, ...deps },
      options,
    );
    this.defer(() => plane[Symbol.asyncDispose]());
    return Object.assign(plane, { lines, metrics });
  }

  async connect(to: Pick<Frontend, "address" | "port">, from?: string): Promise<Socket> {
    const socket = connect({
      host: to.address,
      port: to.port,
      allowHalfOpen: true,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    this.defer(() => socket.destroy());
    await once(socket, "connect");
    socket.on("error", () => undefined);
    return socket;
  }
}

export type TestPlane = UserspaceDataPlane & {
  readonly lines: readonly string[];
  readonly metrics: Metrics;
};

export function portOf(server: { address(): unknown }): number {
  const address = server.address();
  if (typeof address === "object" && address !== null && "port" in address) {
    return Number(address.port);
  }
  throw new Error(`not bound: ${JSON.stringify(address)}`);
}

/** A frontend on an address of its own, so that tests do not meet. */
export function frontendFor(
  address: string,
  backends: readonly Backend[],
  over: Partial<Frontend> = {},
  target: Partial<BackendSet> = {},
): Frontend {
  return frontend({
    address: ip(address),
    port: port(8000),
    ...over,
    target: backendSet(backends, target),
  });
}

export const add = (...added: readonly Frontend[]): TableChange => ({ ...NO_CHANGE, added });
export const remove = (...removed: readonly Frontend[]): TableChange => ({ ...NO_CHANGE, removed });
export const change = (before: Frontend, after: Frontend): TableChange => ({
  ...NO_CHANGE,
  changed: [{ before, after }],
});

/** Everything that the socket reads until its end, or the error's code. Leaves the socket open for writing. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => (text += String(chunk)));
    socket.on("end", () => {
      resolve(text);
    });
    socket.on("error", (error) => {
      resolve(codeOf(error));
    });
  });
}

/** What a new connection reads until its end; the error's code where it fails, be it already on connecting. */
export async function ask(to: Pick<Frontend, "address" | "port">, from?: string): Promise<string> {
  const local = from === undefined ? {} : { localAddress: from };
  return readAll(connect({ host: to.address, port: to.port, ...local }));
}

/** "connected", or the error's code. */
export async function tryConnect(to: Pick<Frontend, "address" | "port">): Promise<string> {
  const socket = connect({ host: to.address, port: to.port });
  try {
    await once(socket, "connect");
    return "connected";
  } catch (error) {
    return codeOf(error);
  } finally {
    socket.destroy();
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** Gives the event loop turns until `holds`; a defect ends in an error instead of a test that never ends. */
export async function until(holds: () => boolean): Promise<void> {
  const startedMs = performance.now();
  while (!holds()) {
    if (performance.now() - startedMs > 20_000) throw new Error(`never held: ${String(holds)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
