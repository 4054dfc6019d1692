import type { Transport } from "../../src/client/transport.ts";
import { ADMIN } from "../apiserver/test-server.ts";
import type { ControlPlane } from "../controllers/control-plane.ts";

/** A way to the API server that can be cut and mended, as a network's. */
export class CuttableWay {
  readonly transport: Transport;
  #cut = new AbortController();

  constructor(handle: ControlPlane["handle"]) {
    this.transport = async (request) => {
      if (this.#cut.signal.aborted) throw new Error("connect ECONNREFUSED");
      const signal = AbortSignal.any([request.signal, this.#cut.signal]);
      return handle({ ...request, signal }, ADMIN);
    };
  }

  /** Ends every watch and fails every request from now on. */
  cut(): void {
    this.#cut.abort(new Error("read ECONNRESET"));
  }

  mend(): void {
    this.#cut = new AbortController();
  }
}
