import type { AllowedParameter, Parameters } from './chat-parameters.ts';

const sampling = 'chooses among tokens, adds none';

/**
 * The parameters of `POST /v1/responses`, as data. Model Studio does not document a limit on a response's output, so its bound
 * is the longest answer and the longest chain of thought the model has.
 */
export const allowedInResponses: Parameters = new Map<string, AllowedParameter>([
  ['model', { rule: { kind: 'structure' }, bound: 'selects the rates' }],
  ['input', { rule: { kind: 'structure' }, bound: 'input: bytes of text, and a constant per item' }],
  ['instructions', { rule: { kind: 'structure' }, bound: 'input: bytes of text' }],
  ['stream', { rule: { kind: 'boolean' }, bound: 'none: the same tokens, sooner' }],
  [
    'max_output_tokens',
    {
      rule: { kind: 'integer', min: 1, max: 1_000_000 },
      bound: "output: passed on; the model's maxima bound",
    },
  ],
  ['enable_thinking', { rule: { kind: 'boolean' }, bound: 'output: makes thinking rates reachable' }],
  ['temperature', { rule: { kind: 'number', min: 0, max: 2 }, bound: sampling }],
  ['top_p', { rule: { kind: 'number', min: 0, max: 1 }, bound: sampling }],
  ['tools', { rule: { kind: 'structure' }, bound: 'input: bytes in the longest spelling, and constants' }],
  ['tool_choice', { rule: { kind: 'structure' }, bound: 'input: a name, and a constant' }],
  ['parallel_tool_calls', { rule: { kind: 'boolean' }, bound: 'none: calls are output, bounded as such' }],
  ['text', { rule: { kind: 'structure' }, bound: 'input: bytes of a schema, and a constant' }],
  ['user', { rule: { kind: 'text', maxBytes: 512 }, bound: 'not shown to the model' }],
]);

const stored = 'A stored conversation has no length this gateway can see. Send the items themselves.';

export const refusedInResponses: ReadonlyMap<string, string> = new Map([
  ['previous_response_id', stored],
  ['conversation', stored],
  ['prompt', stored],
  ['store', 'Nothing is stored here. Leave it out.'],
  ['metadata', 'Nothing is stored here. Leave it out.'],
  ['background', 'A response that comes later has no receipt now. Leave it out.'],
  ['include', 'Only the response itself is passed on. Leave it out.'],
  ['reasoning', 'Qwen is told to think or not: send enable_thinking.'],
  ['truncation', 'What is cut cannot be priced before. Leave it out.'],
  ['max_tool_calls', 'Only function tools are allowed, and the client calls them. Leave it out.'],
  ['service_tier', 'There is one tier. Leave it out.'],
  ['stream_options', 'Usage comes in the last event anyway. Leave it out.'],
  ['top_logprobs', 'Model Studio does not answer log probabilities here. Use /v1/chat/completions.'],
  ['messages', 'That belongs to /v1/chat/completions. Send input.'],
  ['max_tokens', 'That belongs to /v1/chat/completions. Send max_output_tokens.'],
]);
