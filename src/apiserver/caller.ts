/**
 * Whether the caller of a request is still there. Few requests ask, and a signal costs about as much as routing
 * a request, so it is made when it is first asked for.
 */
export class Caller {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  get isGone(): boolean {
    return this.#reason !== undefined;
  }

  /** Aborts when the caller is gone. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The first reason counts. */
  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
