import type { Dialect } from './dialect.ts';
import { bareError, wrappedError } from './error-body.ts';

/** Alibaba Cloud Model Studio, any region: the spelling everything is priced in. */
export const dashscope: Dialect = {
  name: 'dashscope',
  endpoints: ['chat/completions', 'embeddings', 'responses'],
  thinkingField: 'reasoning_content',
  spell: (request) => request.body,
  readError: (body) => wrappedError(body) ?? bareError(body),
};
