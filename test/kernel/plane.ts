import { diffFrontends } from "../../src/core/proxy/diff.ts";
import { HERE, ip } from "../../src/core/proxy/fixtures.test.ts";
import type { ProxyNode } from "../../src/core/proxy/service-part.ts";
import type { ForwardingTable } from "../../src/core/proxy/table.ts";
import { deleteFlows, dumpFlows } from "../../src/kernel/conntrack/conntrack.ts";
import { NetlinkSocket } from "../../src/kernel/netlink/netlink-socket.ts";
import type { FlowTable } from "../../src/proxy/nftables/flow-cleaner.ts";
import { loadLibc } from "../../src/kernel/libc.ts";
import { parseCidr } from "../../src/net/cidr.ts";
import type { Cidr } from "../../src/net/cidr.ts";
import type { FrontendProblem } from "../../src/proxy/data-plane.ts";
import { NftablesDataPlane } from "../../src/proxy/nftables/data-plane.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import type { KernelTables } from "../../src/proxy/nftables/kernel-tables.ts";
import type { PlaneSettings } from "../../src/proxy/nftables/table-builder.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { NODE4, NODE6 } from "./network.ts";

const cidrs = (...texts: readonly string[]): readonly Cidr[] =>
  texts.flatMap((text) => parseCidr(text) ?? []);

export const POD_RANGES = cidrs("10.244.0.0/16", "fd00:244::/64");

/** The node `here` of the test network. */
export const NODE: ProxyNode = {
  ...HERE,
  nodePortAddresses: [ip(NODE4), ip(NODE6)],
  internalRanges: [...POD_RANGES, ...cidrs(`${NODE4}/32`, `${NODE6}/128`)],
};

const SETTINGS: PlaneSettings = {
  podRanges: POD_RANGES,
  internalRanges: NODE.internalRanges,
  serviceRanges: cidrs("10.96.0.0/16", "fd00:96::/112"),
  masqueradeAll: false,
};

/** A data plane on the kernel of this namespace, and what it was told last. */
export class TestPlane implements AsyncDisposable {
  readonly plane: NftablesDataPlane;
  readonly #held: readonly Disposable[];
  readonly repairs: string[];
  readonly lines: string[];
  #frontends: ForwardingTable["frontends"] = [];

  private constructor(
    plane: NftablesDataPlane,
    held: readonly Disposable[],
    repairs: string[],
    lines: string[],
  ) {
    this.plane = plane;
    this.#held = held;
    this.repairs = repairs;
    this.lines = lines;
  }

  static async open(
    options: {
      readonly ownership?: "auto" | "none";
      readonly settings?: PlaneSettings;
      readonly tables?: KernelTables;
    } = {},
  ): Promise<TestPlane> {
    const load = await loadLibc();
    if (load.kind === "missing") throw new Error(load.reason);
    const tables = options.tables ?? new NetlinkTables(load.libc, options.ownership);
    const socket = new NetlinkSocket(load.libc);
    const flows: FlowTable = {
      dump: (family, protocol, each) => {
        dumpFlows(socket, family, protocol, each);
      },
      delete: (handles) => {
        deleteFlows(socket, handles);
      },
    };
    const repairs: string[] = [];
    const lines: string[] = [];
    const log = createLogger({
      write: (line) => lines.push(line),
      level: "debug",
      format: "text",
      now: () => new Date(0),
    });
    try {
      const plane = await NftablesDataPlane.open(
        { tables, flows, log, onRepair: (message) => repairs.push(message) },
        options.settings ?? SETTINGS,
      );
      return new TestPlane(plane, [tables, socket], repairs, lines);
    } catch (error) {
      tables[Symbol.dispose]();
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Makes the kernel serve this table, by the difference to the one before. */
  async set(table: ForwardingTable): Promise<readonly FrontendProblem[]> {
    const change = diffFrontends(this.#frontends, table.frontends);
    this.#frontends = table.frontends;
    return this.plane.apply(change);
  }

  /** As a process that ends: the rules stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.plane[Symbol.asyncDispose]();
    for (const each of this.#held) each[Symbol.dispose]();
  }
}
