import { Worker } from "node:worker_threads";
import { CONTROL } from "../core/dns/answer-memory.ts";
import { loadLibc } from "../kernel/libc.ts";
import type { Libc } from "../kernel/libc.ts";
import { decodeSocketAddress } from "../kernel/socket-address.ts";
import { isSupportedMachine, openUdpSocket } from "../kernel/udp-socket.ts";
import type { UdpSocket } from "../kernel/udp-socket.ts";
import { parsePort } from "../net/host-port.ts";
import type { Port } from "../net/host-port.ts";
import type { Logger } from "../telemetry/log.ts";
import type { CompiledAnswers } from "./compiled-answers.ts";
import type { ListenAddress, Listener, Respond, Sent } from "./listener.ts";
import { listenUdp } from "./udp.ts";
import type { PassedOn, UdpWorkerData } from "./udp-worker-data.ts";

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** A thread that waits for questions looks so often whether it is to end, should waking it fail. */
const RECEIVE_TIMEOUT_MS = 250;
/** Threads hold nothing but their code. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };
/** Beside what is bundled. */
const WORKER = new URL("./udp-worker.js", import.meta.url);

interface UdpThreadsDeps {
  /** Answers what the threads do not. */
  readonly respond: Respond;
  readonly compiled: CompiledAnswers;
  readonly log: Logger;
}

/**
 * Answers questions over UDP in threads of their own, from compiled answers; all else goes through `respond`. A
 * thread for each of the compiled answers' readers. Where the native library cannot load, and when a thread
 * fails, {@link listenUdp} takes over on the same port, and answers the same.
 * @throws Error with the socket's code when the address cannot be bound.
 */
async function listenUdpThreads(deps: UdpThreadsDeps, listen: ListenAddress): Promise<Listener> {
  const load = isSupportedMachine()
    ? await loadLibc()
    : ({ kind: "missing", reason: `${process.arch} is not supported` } as const);
  if (load.kind === "missing") {
    deps.log.warn("dns threads cannot run, the main one answers", { reason: load.reason });
    return listenUdp(deps, listen);
  }
  const threads = openThreads(deps, load.libc, listen);
  await threads.started;
  let isClosing = false;
  let fallback: Promise<Listener | undefined> | undefined;
  const takeOver = (error: unknown): void => {
    if (isClosing || fallback !== undefined) return;
    deps.log.error("dns thread failed, the main one answers from now on", { error });
    fallback = threads
      .close()
      .then(() => listenUdp(deps, { address: listen.address, port: threads.port }))
      .catch((failure: unknown) => {
        deps.log.error("dns over udp is not served any more", { error: failure });
        return undefined;
      });
  };
  threads.onFailure(takeOver);
  return {
    port: threads.port,
    [Symbol.asyncDispose]: async () => {
      isClosing = true;
      await threads.close();
      await (await fallback)?.[Symbol.asyncDispose]();
    },
  };
}

/** {@link listenUdpThreads} for whoever may listen in another way as well. */
export function threadsFor(compiled: CompiledAnswers): typeof listenUdp {
  return (deps, listen) => listenUdpThreads({ ...deps, compiled }, listen);
}

interface Threads {
  readonly port: Port;
  /** Resolves when each runs its program, or has ended. */
  readonly started: Promise<unknown>;
  onFailure(listener: (error: unknown) => void): void;
  close(): Promise<void>;
}

function openThreads(deps: UdpThreadsDeps, libc: Libc, listen: ListenAddress): Threads {
  const { memory, tallies, rateLimiter } = deps.compiled;
  const sockets: UdpSocket[] = [];
  const closeSockets = (): void => {
    for (const socket of sockets) socket[Symbol.dispose]();
  };
  try {
    for (let i = 0; i < tallies.length; i++) {
      const options = {
        address: listen.address,
        port: sockets[0]?.port ?? listen.port,
        reusePort: tallies.length > 1,
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        receiveTimeoutMs: RECEIVE_TIMEOUT_MS,
      };
      sockets.push(openUdpSocket(libc, options));
    }
  } catch (error) {
    closeSockets();
    throw error;
  }
  const control = new Int32Array(memory.control);
  Atomics.store(control, CONTROL.stop, 0);
  const workers = sockets.flatMap((socket, reader) => {
    const tally = tallies[reader];
    if (tally === undefined) return [];
    const workerData: UdpWorkerData = {
      fd: socket.fd,
      others: sockets.flatMap((other) => (other === socket ? [] : [other.fd])),
      reader,
      memory,
      tallies: tally,
      rateLimit: rateLimiter?.memory,
    };
    const worker = new Worker(deps.compiled.worker ?? WORKER, {
      workerData,
      resourceLimits: RESOURCE_LIMITS,
      name: `dns-udp-${String(reader)}`,
    });
    worker.on("message", (questions: readonly PassedOn[]) => {
      Atomics.sub(control, CONTROL.passedOn, questions.length);
      for (const question of questions) answerPassedOn(deps, socket, question);
    });
    return [worker];
  });
  const exits = workers.map(
    (worker) =>
      new Promise<void>((resolve) => {
        worker.once("exit", () => {
          resolve();
        });
      }),
  );
  const online = workers.map(
    (worker) =>
      new Promise<void>((resolve) => {
        worker.once("online", () => {
          deps.compiled.onThreadStarted();
          resolve();
        });
      }),
  );
  let closing: Promise<void> | undefined;
  return {
    // The kernel gave it.
    port: portOf(sockets[0]?.port),
    started: Promise.all(online.map((each, i) => Promise.race([each, exits[i]]))),
    onFailure: (listener) => {
      for (const worker of workers) {
        worker.on("error", listener);
        worker.on("exit", (code) => {
          listener(new Error(`the thread ended with code ${String(code)}`));
        });
      }
    },
    close: () => {
      closing ??= (async () => {
        Atomics.store(control, CONTROL.stop, 1);
        for (const socket of sockets) socket.wake();
        await Promise.all(exits);
        closeSockets();
      })();
      return closing;
    },
  };
}

function portOf(port: number | undefined): Port {
  const parsed = port === undefined ? undefined : parsePort(port);
  if (parsed === undefined) throw new Error("a bound socket has no port");
  return parsed;
}

function answerPassedOn(
  { respond, compiled, log }: UdpThreadsDeps,
  socket: UdpSocket,
  { message, peer }: PassedOn,
): void {
  const from = decodeSocketAddress(peer);
  if (from === undefined) return;
  const send = (sent: Sent): void => {
    // Several messages are a zone, which does not go over UDP.
    if (!(sent instanceof Uint8Array)) return;
    if (!socket.send(sent, peer)) log.debug("dns answer not sent", { to: from.address });
  };
  const answer = respond(message, "udp", from);
  if (answer instanceof Promise) {
    // Respond promises never to reject.
    void answer.then(send);
    return;
  }
  send(answer);
  if (answer instanceof Uint8Array) compiled.offer(message, answer);
}
