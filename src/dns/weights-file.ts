import { parseAddressWeights } from "../core/dns/address-order.ts";
import type { AddressWeights } from "../core/dns/address-order.ts";
import type { Logger } from "../telemetry/log.ts";
import { followFile } from "./followed-file.ts";

/** The weights of a `loadbalance weighted` directive, as its file has them now. */
export interface WeightsFile extends Disposable {
  readonly weights: AddressWeights;
}

/** A file with a line that is wrong, which the log names, changes nothing. */
export async function followWeights(
  log: Logger,
  path: string,
  reloadMs: number,
): Promise<WeightsFile> {
  let weights: AddressWeights = new Map();
  const following = await followFile(log, path, reloadMs, (text) => {
    const parsed = parseAddressWeights(text);
    if ("line" in parsed) {
      const remedy = "a name, or an address and its weight from 1 to 255, is needed";
      log.error("dns weights not usable", { path, line: parsed.line, remedy });
    } else weights = parsed;
  });
  return {
    get weights() {
      return weights;
    },
    [Symbol.dispose]: () => {
      following[Symbol.dispose]();
    },
  };
}
