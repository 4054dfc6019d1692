import { removeTables } from "../proxy/nftables/data-plane.ts";
import { openKernelAccess } from "../proxy/nftables/open-tables.ts";

/**
 * Removes the rules that a proxy left on this node. @returns the names of the tables, such as "ip portolan".
 * @throws NodeTakenError while a proxy runs; KernelRefusal without the right to.
 */
export async function cleanUpProxy(): Promise<readonly string[]> {
  using access = await openKernelAccess();
  const removed = await removeTables(access.tables);
  return removed.map(({ family, name }) => `${family} ${name}`);
}
