/** An error in the words of the real node: JSON-RPC code, message and, sometimes, data. */
export class NodeError extends Error {
  readonly code: number;
  readonly data: string | undefined;

  constructor(code: number, message: string, data?: string) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** What the real node's `error::invalid_params` makes. */
export const invalidParams = (param: string, why: string): NodeError =>
  new NodeError(-32602, `Invalid params: ${param}`, why);

/** What its plain errors (`bail!`) become on the wire. */
export const callFailed = (message: string): NodeError => new NodeError(-32000, message);

export const internalError = (why: string): NodeError => new NodeError(-32603, 'Internal error', why);
