import { execFile } from "node:child_process";

const COMMAND_MS = 20_000;

/**
 * Has `ip` (iproute2) carry out many commands in one process, in their order and up to the first that fails.
 * @param enter words put before it, such as those of `nsenter` for another network namespace.
 * @param commands each as after the word `ip`, e.g. `link set lo up`.
 * @throws Error with what `ip` said, or that it is not installed.
 */
export function runIp(enter: readonly string[], commands: readonly string[]): Promise<void> {
  const input = `${commands.join("\n")}\n`;
  return runTool("ip", "iproute2", [...enter, "ip", "-batch", "-"], input);
}

/**
 * Has `nft` apply rules in one transaction.
 * @param enter as for {@link runIp}.
 * @param rules as in a file for `nft -f`.
 * @throws Error with what `nft` said, or that it is not installed.
 */
export function runNft(enter: readonly string[], rules: string): Promise<void> {
  return runTool("nft", "nftables", [...enter, "nft", "-f", "-"], rules);
}

function runTool(
  tool: string,
  debianPackage: string,
  [program = "", ...args]: readonly string[],
  input: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { timeout: COMMAND_MS }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else if (error.code === "ENOENT")
        reject(
          new Error(`the program ${tool} is not installed: it is in the package ${debianPackage}`),
        );
      else reject(new Error(`${tool}: ${stderr.trim() === "" ? error.message : stderr.trim()}`));
    });
    // A program that is missing or ends early; the callback tells why.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/** Words that run what follows in the network namespace of a process. */
export function inNetworkOf(pid: number): readonly string[] {
  return ["nsenter", `--target=${String(pid)}`, "--net", "--"];
}
