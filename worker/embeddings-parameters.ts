import type { AllowedParameter, Parameters } from './chat-parameters.ts';

/** The parameters of `POST /v1/embeddings`, as data. */
export const allowedInEmbeddings: Parameters = new Map<string, AllowedParameter>([
  ['model', { rule: { kind: 'structure' }, bound: 'selects the rates' }],
  ['input', { rule: { kind: 'structure' }, bound: 'input: bytes of text, 1 to 10 texts' }],
  ['dimensions', { rule: { kind: 'integer', min: 64, max: 2_048 }, bound: 'none: the same tokens' }],
  ['encoding_format', { rule: { kind: 'structure' }, bound: 'none: float or base64' }],
  ['user', { rule: { kind: 'text', maxBytes: 512 }, bound: 'not shown to the model' }],
]);

export const refusedInEmbeddings: ReadonlyMap<string, string> = new Map([
  ['messages', 'That belongs to /v1/chat/completions. Send input.'],
  ['stream', 'Embeddings come whole. Leave it out.'],
]);
