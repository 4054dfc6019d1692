import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { mountPoints } from "./mount-points.ts";
import { MountError } from "./sandbox.ts";

const MOUNT_MS = 10_000;
const OPTIONS = "mode=0700,nosuid,nodev";

/**
 * Mounts a file system in memory at `dir` in this process's mount namespace, unless an earlier agent has. It is not
 * swapped out where the kernel lets this user say so, which in a user namespace it does not. Nobody unmounts it: the
 * Pods' programs may outlive this agent, and with the mount namespace it goes. What is mounted in it stays with who
 * mounts it.
 * @throws MountError with what the system said.
 */
export async function mountMemory(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await mountPoints()).includes(dir)) return;
  const mount = async (options: string): Promise<void> => {
    const args = ["-nt", "tmpfs", "--make-private", "-o", options, "tmpfs", dir];
    await promisify(execFile)("mount", args, { timeout: MOUNT_MS });
  };
  try {
    // Known by kernels from 6.4 on, and refused where they do not let this user.
    await mount(`${OPTIONS},noswap`).catch(() => mount(OPTIONS));
  } catch (error) {
    // As promisify(execFile) rejects.
    const { stderr = "" } = error as { readonly stderr?: string };
    throw new MountError(`volumes in memory not mounted: ${stderr.trim()}`, { cause: error });
  }
}
