import type { Tool } from '@modelcontextprotocol/sdk/types.js';

const model = {
  type: 'string',
  description: 'A model of the prices tool.',
} as const;

/** What `POST /mcp` offers. Arguments of chat and embeddings are bodies of the HTTP routes, under the same allow-list. */
export const tools: readonly Tool[] = [
  {
    name: 'chat',
    title: 'Ask Qwen',
    description:
      'A chat completion. The arguments are a body of POST /v1/chat/completions without stream. Charged per token; the receipt comes in the HTTP header Tallystick-Receipt.',
    inputSchema: {
      type: 'object',
      properties: {
        model,
        messages: {
          type: 'array',
          minItems: 1,
          items: {
            type: 'object',
            properties: { role: { type: 'string' }, content: {} },
            required: ['role'],
          },
        },
        max_tokens: { type: 'integer', minimum: 1 },
        temperature: { type: 'number', minimum: 0, maximum: 2 },
        enable_thinking: { type: 'boolean' },
        stream: { const: false },
      },
      required: ['model', 'messages'],
    },
    annotations: { readOnlyHint: true, openWorldHint: true },
  },
  {
    name: 'embeddings',
    title: 'Embed texts',
    description:
      'Vectors of 1 to 10 texts. The arguments are a body of POST /v1/embeddings. Charged per token; the receipt comes in the HTTP header Tallystick-Receipt.',
    inputSchema: {
      type: 'object',
      properties: {
        model,
        input: {
          anyOf: [
            { type: 'string', minLength: 1 },
            { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: 10 },
          ],
        },
        dimensions: { type: 'integer', minimum: 64, maximum: 2048 },
      },
      required: ['model', 'input'],
    },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: true },
  },
  {
    name: 'prices',
    title: 'What models cost',
    description:
      'Models and their prices per million tokens, in base units of the asset, with the hash receipts carry. Costs nothing.',
    inputSchema: { type: 'object', properties: { model }, additionalProperties: false },
    annotations: { readOnlyHint: true, idempotentHint: true },
  },
  {
    name: 'balance',
    title: 'Where the account stands',
    description: "The agent's deposit, what is held and captured, what is available. Costs nothing.",
    inputSchema: { type: 'object', properties: {}, additionalProperties: false },
    annotations: { readOnlyHint: true, idempotentHint: true },
  },
];
