import type { AnswerMemory } from "../core/dns/answer-memory.ts";

/** What a thread that answers over UDP is started with. */
export interface UdpWorkerData {
  readonly fd: number;
  /** Which of the memory's readers it is. */
  readonly reader: number;
  readonly memory: AnswerMemory;
  /** See {@link QuestionTally}. */
  readonly tallies: SharedArrayBuffer;
}

/** A question that it does not answer. */
export interface PassedOn {
  readonly message: Uint8Array;
  /** Socket address of who asks. */
  readonly peer: Uint8Array;
}
