// How the command line ends when it cannot do what was asked: a sentence, what to do, and a number for scripts.
import { AgentError } from '../agent-error.ts';
import { readProblem } from '../problem-detail.ts';
import { ReceiptMismatchError } from '../receipt-desk.ts';

/** Exit codes; `tallystick help` lists them. */
export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  /** Something that was checked is not right. */
  notRight: 3,
  gateway: 4,
  chain: 5,
  /** Beyond the deposit or the limits. */
  money: 6,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ends the command; `code` is for programs, the message for people. */
export class Failure extends Error {
  readonly code: string;
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Failure';
    this.exitCode = exitCode;
    this.code = code;
  }
}

export const usage = (message: string): Failure => new Failure(exitCodes.usage, 'usage', message);

const ofAgentError: Readonly<Record<AgentError['code'], ExitCode>> = {
  voucher_limit: exitCodes.money,
  payment_mismatch: exitCodes.notRight,
  receipt_mismatch: exitCodes.notRight,
  gateway_unusable: exitCodes.gateway,
  chain_unavailable: exitCodes.chain,
  transaction_failed: exitCodes.chain,
};

/** Whatever was thrown, as a failure. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ReceiptMismatchError) {
    return new Failure(exitCodes.notRight, error.code, `${error.message}. Keep the receipt: it is evidence.`);
  }
  if (error instanceof AgentError) {
    return new Failure(ofAgentError[error.code], error.code, error.message, { cause: error });
  }
  if (error instanceof TypeError && /fetch failed/.test(error.message)) {
    const why = error.cause instanceof Error ? error.cause.message || error.cause.name : '';
    return new Failure(
      exitCodes.gateway,
      'unreachable',
      `The gateway cannot be reached${why ? ` (${why})` : ''}. Check --gateway; tallystick doctor looks further.`,
      { cause: error },
    );
  }
  const message = error instanceof Error ? error.message : String(error);
  return new Failure(exitCodes.unexpected, 'unexpected', message, { cause: error });
}

/** A refusal by the gateway, as the failure it is. Reads the body. */
export async function refusalOf(response: Response): Promise<Failure> {
  const { code, detail } = await readProblem(response);
  const exitCode = response.status === 402 ? exitCodes.money : exitCodes.gateway;
  const remedy = response.status === 402 ? ' See tallystick balance.' : '';
  return new Failure(exitCode, code, `The gateway refuses (${response.status} ${code}): ${detail}${remedy}`);
}
