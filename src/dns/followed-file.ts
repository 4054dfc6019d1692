import { readFile, stat } from "node:fs/promises";
import type { Logger } from "../telemetry/log.ts";

/**
 * Hands out a file's text, now and whenever it changed; it is looked at every `everyMs`, or never again when that
 * is 0. As long as it cannot be read, which the log says once, nothing is handed out. Disposing stops it.
 */
export async function followFile(
  log: Logger,
  path: string,
  everyMs: number,
  take: (text: string) => void,
): Promise<Disposable> {
  let version = "";
  const read = async (): Promise<void> => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const found = [mtimeMs, size, ino].join();
      if (found === version) return;
      const text = await readFile(path, "utf8");
      version = found;
      take(text);
    } catch (error) {
      if (version !== "missing") log.warn("dns file not readable", { path, error });
      version = "missing";
    }
  };
  await read();
  const timer =
    everyMs > 0
      ? // It handles its failures itself.
        setInterval(() => void read(), everyMs)
      : undefined;
  timer?.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
    },
  };
}
