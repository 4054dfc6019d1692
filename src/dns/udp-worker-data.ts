import type { AnswerMemory } from "../core/dns/answer-memory.ts";
import type { RateLimitMemory } from "./rate-limit.ts";

/** What a thread that answers over UDP is started with. */
export interface UdpWorkerData {
  readonly fd: number;
  /** The sockets of the other threads. */
  readonly others: readonly number[];
  /** Which of the memory's readers it is. */
  readonly reader: number;
  readonly memory: AnswerMemory;
  /** See {@link QuestionTally}. */
  readonly tallies: SharedArrayBuffer;
  /** Undefined: everybody gets every answer. */
  readonly rateLimit: RateLimitMemory | undefined;
}

/** A question that it does not answer. */
export interface PassedOn {
  readonly message: Uint8Array;
  /** Socket address of who asks. */
  readonly peer: Uint8Array;
}
