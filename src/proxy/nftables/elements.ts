import type { SetName } from "./program.ts";

/** Takes the elements that a change adds and deletes; all deletions happen before all additions. */
export interface ElementSink {
  add(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void;
  /** `data` is what the element holds until now. */
  delete(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void;
  /** Asks for the chains of a class of affinity time-outs, before elements that lead there. */
  needAffinityClass(timeoutClass: number, timeoutSeconds: number): void;
}
