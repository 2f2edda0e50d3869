// An ElizaOS plugin: Qwen answers for the models the runtime asks for, paid per call by the agent itself.
import { type GenerateTextParams, ModelType, type Plugin, type TextEmbeddingParams } from '@elizaos/core';
import { type AgentFetch, type AgentFetchOptions, createAgentFetch } from 'tallystick';

const embeddingModel = 'text-embedding-v4';
const dimensions = 1024;

export type TallystickPlugin = Plugin & { readonly agentFetch: AgentFetch };

export function createTallystickPlugin(options: AgentFetchOptions): TallystickPlugin {
  const agentFetch = createAgentFetch(options);

  async function ask<T>(path: string, body: Record<string, unknown>): Promise<T> {
    const response = await agentFetch(`${agentFetch.gateway}/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  const text = (model: string) => async (_: unknown, params: GenerateTextParams) => {
    const { choices } = await ask<{ choices: { message: { content: string } }[] }>('chat/completions', {
      model,
      messages: [{ role: 'user', content: params.prompt }],
      ...(params.maxTokens === undefined ? {} : { max_tokens: params.maxTokens }),
      ...(params.temperature === undefined ? {} : { temperature: params.temperature }),
      ...(params.topP === undefined ? {} : { top_p: params.topP }),
      ...(params.stopSequences?.length ? { stop: params.stopSequences } : {}),
    });
    return choices[0]?.message.content ?? '';
  };

  return {
    name: 'tallystick',
    description: 'Qwen, paid per token from the agent’s own deposit, with a receipt for every call',
    priority: 100, // before other plugins' models
    agentFetch,
    models: {
      [ModelType.TEXT_SMALL]: text('qwen-flash'),
      [ModelType.TEXT_LARGE]: text('qwen-plus'),
      [ModelType.TEXT_EMBEDDING]: async (_, params: TextEmbeddingParams | string | null) => {
        // The runtime asks with null to learn the length: nothing to pay for.
        if (params === null) return new Array<number>(dimensions).fill(0);
        const input = typeof params === 'string' ? params : params.text;
        const { data } = await ask<{ data: { embedding: number[] }[] }>('embeddings', {
          model: embeddingModel,
          dimensions,
          input,
        });
        return data[0]?.embedding ?? [];
      },
    },
  };
}
