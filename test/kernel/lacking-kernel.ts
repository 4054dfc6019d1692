import { readMessages } from "../../src/kernel/netlink/message-reader.ts";
import { MESSAGE } from "../../src/kernel/nftables/batch.ts";
import { NetlinkTables } from "../../src/proxy/nftables/netlink-tables.ts";
import type { KernelAccess } from "../../src/proxy/nftables/open-tables.ts";
import { tappedLibc } from "./tapped-libc.ts";

const IP6 = 10;
/** No kernel knows it. */
const NO_FAMILY = 200;

/**
 * The kernel's tables as a kernel has them that was built without something: what is sent asks for what no kernel has,
 * under the name of what is to be missing, and so the refusal is the real one.
 */
export class LackingKernel {
  /** Names of expressions, and families. */
  readonly lacks = new Set<string>();

  async access(): Promise<KernelAccess> {
    const libc = await tappedLibc({
      send:
        (real) =>
        (fd, bytes, ...more) =>
          real(fd, bytes instanceof Uint8Array ? this.#changed(bytes) : bytes, ...more),
    });
    const tables = new NetlinkTables(libc);
    return {
      tables,
      flows: undefined,
      remark: undefined,
      [Symbol.dispose]: () => {
        tables[Symbol.dispose]();
      },
    };
  }

  #changed(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice();
    if (this.lacks.has("ip6")) {
      for (const { type, body } of readMessages(copy)) {
        if (type === MESSAGE.newTable && body[0] === IP6) body[0] = NO_FAMILY;
      }
    }
    const text = Buffer.from(copy.buffer);
    for (const name of this.lacks) {
      for (let at = text.indexOf(`${name}\0`); at !== -1; at = text.indexOf(`${name}\0`, at + 1)) {
        text[at] = "x".charCodeAt(0);
      }
    }
    return copy;
  }
}
