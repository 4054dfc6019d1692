import { execFile } from "node:child_process";

const COMMAND_MS = 20_000;

/**
 * Has `ip` (iproute2) carry out many commands in one process, in their order and up to the first that fails.
 * @param enter words put before it, such as those of `nsenter` for another network namespace.
 * @param commands each as after the word `ip`, e.g. `link set lo up`.
 * @throws Error with what `ip` said, or that it is not installed.
 */
export function runIp(enter: readonly string[], commands: readonly string[]): Promise<void> {
  const [program, ...args] = [...enter, "ip", "-batch", "-"] as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: COMMAND_MS }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new Error(explain(error, stderr)));
    });
    // A program that is missing or ends early; the callback tells why.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(`${commands.join("\n")}\n`);
  });
}

/** Words that run what follows in the network namespace of a process. */
export function inNetworkOf(pid: number): readonly string[] {
  return ["nsenter", `--target=${String(pid)}`, "--net", "--"];
}

function explain(error: Error, stderr: string): string {
  if ("code" in error && error.code === "ENOENT")
    return "the program ip is not installed: it is in the package iproute2";
  return `ip: ${stderr.trim() === "" ? error.message : stderr.trim()}`;
}
