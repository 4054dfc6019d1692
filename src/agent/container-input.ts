import { execFile } from "node:child_process";
import { constants, open as openCallback } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Socket } from "node:net";
import { dirname } from "node:path";
import type { Writable } from "node:stream";
import { promisify } from "node:util";
import { codeOf } from "./proc.ts";

const run = promisify(execFile);
const openFd = promisify(openCallback);

/**
 * What a container with `stdin: true` reads: a FIFO beside its log, so that clients can come and go, and an agent
 * that takes over the container finds it again. The container's own end is open for writing too, so that its
 * stdin never ends; with `stdinOnce` the agent holds the only other writer, and lets go of it after the first
 * client (or when the agent itself ends).
 */
export class ContainerInput implements AsyncDisposable {
  readonly #file: string;
  readonly #once: boolean;
  #keeper: FileHandle | undefined;

  private constructor(file: string, once: boolean, keeper: FileHandle | undefined) {
    this.#file = file;
    this.#once = once;
    this.#keeper = keeper;
  }

  /** Makes the FIFO; `start` gets the descriptor that the container shall read from, and only for its own time. */
  static async create<T>(
    file: string,
    once: boolean,
    start: (fd: number) => Promise<T>,
  ): Promise<{ readonly input: ContainerInput; readonly started: T }> {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await rm(file, { force: true });
    // Node has no call for it.
    await run("mkfifo", ["-m", "600", file], { timeout: 5_000 });
    const both = await open(file, constants.O_RDWR);
    const reader = once ? await open(file, constants.O_RDONLY) : undefined;
    try {
      const started = await start((reader ?? both).fd);
      return { input: new ContainerInput(file, once, once ? both : undefined), started };
    } catch (error) {
      if (once) await both.close();
      throw error;
    } finally {
      await (reader ?? both).close();
    }
  }

  /** The input of a container that an earlier agent started. With `once` it has ended with that agent. */
  static adopt(file: string, once: boolean): ContainerInput {
    return new ContainerInput(file, once, undefined);
  }

  /** A client's way in; undefined when nobody reads any more. Ending it ends the container's stdin with `once`. */
  async connect(): Promise<Writable | undefined> {
    if (this.#once && this.#keeper === undefined) return undefined;
    // A number and not a FileHandle, which would close it when it is collected.
    const fd = await openFd(this.#file, constants.O_WRONLY | constants.O_NONBLOCK).catch(
      (error: unknown) => {
        // ENXIO: nobody has it open for reading.
        if (codeOf(error) === "ENXIO" || codeOf(error) === "ENOENT") return undefined;
        throw error;
      },
    );
    if (fd === undefined) return undefined;
    // A socket and not a file stream: those wait in a thread while the pipe is full.
    const writer = new Socket({ fd, readable: false, writable: true });
    writer.once("close", () => {
      // Closing a descriptor that is open does not fail.
      if (this.#once) void this.#letGo();
    });
    return writer;
  }

  async #letGo(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = undefined;
    await keeper?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#letGo();
    await rm(this.#file, { force: true });
  }
}
