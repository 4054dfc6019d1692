import { dumpFlows, deleteFlows } from "../../kernel/conntrack/conntrack.ts";
import { loadLibc } from "../../kernel/libc.ts";
import { NetlinkError, NetlinkSocket } from "../../kernel/netlink/netlink-socket.ts";
import type { FlowTable } from "./flow-cleaner.ts";
import { KernelRefusal } from "./kernel-tables.ts";
import type { KernelTables } from "./kernel-tables.ts";
import { NetlinkTables } from "./netlink-tables.ts";
import { TextTables } from "./text-tables.ts";

const EPERM = 1;

/** What the kernel plane works with; dispose to let go of it. */
export interface KernelAccess extends Disposable {
  readonly tables: KernelTables;
  /** undefined where this process cannot ask for flows. */
  readonly flows: FlowTable | undefined;
  /** Why it is not the best way, for the log. */
  readonly remark: string | undefined;
}

/**
 * The best way to the kernel's rules on this machine: netlink, else the program `nft`.
 * @throws KernelRefusal that says why there is none, and what to do.
 */
export async function openKernelAccess(): Promise<KernelAccess> {
  const load = await loadLibc();
  if (load.kind === "loaded") {
    try {
      const tables = new NetlinkTables(load.libc);
      const socket = new NetlinkSocket(load.libc);
      return {
        tables,
        flows: {
          dump: (family, protocol, each) => {
            dumpFlows(socket, family, protocol, each);
          },
          delete: (flows) => {
            deleteFlows(socket, flows);
          },
        },
        remark: tables.isOwner
          ? undefined
          : "this kernel (before 6.9) cannot protect our tables from others; changes are looked for instead",
        [Symbol.dispose]: () => {
          socket[Symbol.dispose]();
          tables[Symbol.dispose]();
        },
      };
    } catch (error) {
      throw refusal(error);
    }
  }
  const tables = new TextTables();
  try {
    await tables.list();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new KernelRefusal(
      `nftables cannot be reached: netlink: ${load.reason}; and ${why}`,
      undefined,
      { cause: error },
    );
  }
  const remark = `netlink is not usable here (${load.reason}): rules are written by the program nft`;
  return { tables, flows: undefined, remark, [Symbol.dispose]: () => undefined };
}

function refusal(error: unknown): unknown {
  const isKnown = error instanceof KernelRefusal || error instanceof NetlinkError;
  if (isKnown && error.errno === EPERM) {
    return new KernelRefusal(
      "this process may not change nftables (EPERM): run it as root, or give it the capability CAP_NET_ADMIN",
      EPERM,
      { cause: error },
    );
  }
  if (error instanceof NetlinkError) {
    return new KernelRefusal(
      `the kernel has no nf_tables (${error.message}); load the module: modprobe nf_tables`,
      error.errno,
      { cause: error },
    );
  }
  return error;
}
